// Takes a model out of the caches by its name, or one revision of it.
import { basename, dirname, join } from 'node:path';
import { HuacayaError, usageError } from '../base/index.ts';
import { blobsOf, bytesOf, type Removed, removeAll, snapshotParts, wholeFolder } from './cacheParts.ts';
import type { ModelSource } from './events.ts';
import { blobPath, repoFolder } from './hubLayout.ts';
import { isHeld } from './lock.ts';
import { readRefs, visible } from './manage.ts';
import { pipFolder } from './pipDownload.ts';
import { pullLockPath } from './pullOptions.ts';
import { findLocal, notFound, type ResolveOptions, readName } from './resolve.ts';

/**
 * Removes a model from the caches, whatever state it is in; `name@revision` takes that revision only, and the files that
 * no other one has. The hub's cache is shared: Python loses it too.
 * @returns what is gone.
 * @throws HuacayaError MODEL_NOT_FOUND when there was nothing, MODEL_IN_USE while a process is fetching it, USAGE for a path.
 */
export async function removeModel(
  nameOrPath: string,
  options: ResolveOptions & { source?: ModelSource; dryRun?: boolean },
): Promise<{ removed: string[]; freed: number }> {
  const { entry, repo, revision } = readName(nameOrPath, options);
  if (!repo && (await findLocal(nameOrPath))) {
    throw usageError(
      `${nameOrPath}: is a path, and only what is in the cache is removed`,
      'Delete it as any other file.',
    );
  }
  if (repo && !options.dryRun && (await isHeld(pullLockPath(options.cacheDir, repo, options.repoType)))) {
    // It would end with names that show nothing.
    throw new HuacayaError('MODEL_IN_USE', `${nameOrPath}: another process is fetching it`, {
      hint: 'Stop that process, or wait for it.',
    });
  }
  const gone: Removed[] = [];
  if (repo && options.source !== 'pip') {
    const repoDir = repoFolder(options.hubCacheDir, repo, options.repoType);
    gone.push(...(await (revision === undefined ? wholeFolder(repoDir) : revisionOf(repoDir, revision))));
  }
  if (entry && options.source !== 'hub' && revision === undefined) {
    gone.push(...(await wholeFolder(pipFolder(options.cacheDir, entry.name))));
  }
  if (gone.length === 0) throw notFound(nameOrPath, options);
  if (!options.dryRun) {
    await removeAll(gone);
    if (repo && revision === undefined) {
      const repoDir = repoFolder(options.hubCacheDir, repo, options.repoType);
      await removeAll(await wholeFolder(join(dirname(repoDir), '.locks', basename(repoDir))));
    }
  }
  return { removed: gone.map(({ path }) => path), freed: gone.reduce((n, { size }) => n + size, 0) };
}

async function revisionOf(repoDir: string, revision: string): Promise<Removed[]> {
  const refs = await readRefs(repoDir);
  const sha = refs.find((ref) => ref.name === revision)?.sha ?? revision;
  if (!/^[0-9a-f]{40}$/.test(sha) || !(await visible(join(repoDir, 'snapshots'))).includes(sha)) return [];
  const names = refs.filter((ref) => ref.sha === sha).map((ref) => join(repoDir, 'refs', ref.name));
  const gone = [...(await snapshotParts(repoDir, sha)), ...names.map((path) => ({ path, size: 0 }))];
  const others = (await visible(join(repoDir, 'snapshots'))).filter((other) => other !== sha);
  const kept = await blobsOf(repoDir, others);
  for (const blob of await blobsOf(repoDir, [sha])) {
    if (kept.has(blob)) continue;
    const path = blobPath(repoDir, blob);
    gone.push({ path, size: await bytesOf(path) });
  }
  return gone;
}
