// The code in the README runs as it stands there, on a tiny model.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

it('the library example answers', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  const example = /## As a library\n\n((?: {4}.*\n|\n)+)/.exec(text)![1]!.replace(/^ {4}/gm, '');
  expect(example).toContain('path/to/model.gguf');
  const folder = temporaryFolder();
  try {
    const code = example.replace('path/to/model.gguf', writeTinyModel(folder.path, tinyModel()));
    const call = ['--input-type=module', '-e', code];
    const env = { ...process.env, HUACAYA_CACHE: join(folder.path, 'cache') };
    expect(execFileSync(process.execPath, call, { cwd: root, encoding: 'utf8', env }).length).toBeGreaterThan(1);
  } finally {
    folder.remove();
  }
});
