// A TypeScript file of ours as a script that Node runs, for tests that need a process to kill.
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Packages are not bundled, so the script lies where Node finds them. */
export async function bundle(entry: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(root, 'node_modules', '.huacaya-test-'));
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: { ssr: entry, outDir: folder, minify: false, rollupOptions: { output: { entryFileNames: 'main.mjs' } } },
  });
  return { path: join(folder, 'main.mjs'), remove: () => rm(folder, { recursive: true, force: true }) };
}
