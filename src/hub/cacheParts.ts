// What belongs to a model or a revision in the Hugging Face cache, and what it takes on the disk.
import { lstat, readlink, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { readRecord } from './hubTree.ts';
import { filesBelow } from './manage.ts';

export interface Removed {
  path: string;
  /** Bytes that are free now. */
  size: number;
}

/** A folder with everything in it; nothing where there is none. */
export async function wholeFolder(folder: string): Promise<Removed[]> {
  if (!(await stat(folder).catch(() => undefined))) return [];
  let size = 0;
  for (const name of await filesBelow(folder)) size += await bytesOf(join(folder, name));
  return [{ path: folder, size }];
}

/** What a file itself takes: a link takes nothing, and what it shows may be in use elsewhere. */
export async function bytesOf(path: string): Promise<number> {
  const info = await lstat(path).catch(() => undefined);
  // Of a file with two names only one is counted.
  return info?.isFile() ? Math.round(info.size / Math.max(1, info.nlink)) : 0;
}

/** What only this snapshot has, without its blobs. */
export async function snapshotParts(repoDir: string, sha: string): Promise<Removed[]> {
  const parts = await wholeFolder(join(repoDir, 'snapshots', sha));
  const lists = [join(repoDir, '.huacaya', `${sha}.json`), join(repoDir, 'trees', `${sha}.json`)];
  const absent = join(repoDir, '.no_exist', sha);
  for (const path of [...lists, absent]) {
    if (await stat(path).catch(() => undefined)) parts.push({ path, size: await bytesOf(path) });
  }
  return parts;
}

/** Names of the blobs that snapshots show, by link or by what was written down. */
export async function blobsOf(repoDir: string, commits: readonly string[]): Promise<Set<string>> {
  const blobs = new Set<string>();
  for (const sha of commits) {
    for (const file of (await readRecord(repoDir, sha))?.files ?? []) blobs.add(file.blob);
    const folder = join(repoDir, 'snapshots', sha);
    for (const name of await filesBelow(folder)) {
      const target = await readlink(join(folder, name)).catch(() => undefined);
      if (target === undefined) continue;
      const path = resolve(dirname(join(folder, name)), target);
      if (dirname(path) === resolve(repoDir, 'blobs')) blobs.add(basename(path));
    }
  }
  return blobs;
}

export async function removeAll(gone: readonly Removed[]): Promise<void> {
  for (const { path } of gone) await rm(path, { recursive: true, force: true });
}
