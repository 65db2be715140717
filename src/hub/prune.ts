// Takes out of the caches what nobody refers to any more.
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blobsOf, bytesOf, type Removed, removeAll, snapshotParts } from './cacheParts.ts';
import { blobPath, lockPath, repoOfFolder } from './hubLayout.ts';
import { isHeld } from './lock.ts';
import { filesBelow, isPinnedCommit, readRefs, visible } from './manage.ts';
import { pullLockPath } from './pullOptions.ts';

export interface PruneOptions {
  cacheDir: string;
  hubCacheDir: string;
  /** Only what nobody has touched for so many days; default 7. A pull that goes on tomorrow finds its parts. */
  days?: number;
  /** Only tell. */
  dryRun?: boolean;
  /** Milliseconds since 1970. */
  now?: number;
}

export interface Pruned extends Removed {
  why:
    | 'no branch leads to it'
    | 'part of a download that was not finished'
    | 'belongs to no revision'
    | 'was left behind';
}

/**
 * Removes what no revision needs: snapshots without a ref (but not those that were asked for by their commit), blobs of no
 * snapshot, parts of downloads, folders that were being made. Where links are copies a blob belongs to its record.
 * What a process is fetching right now is left alone, however old it is: its blobs belong to no revision yet.
 */
export async function pruneHub(options: PruneOptions): Promise<Pruned[]> {
  const { days = 7, now = Date.now() } = options;
  const before = now - days * 86_400_000;
  const gone: Pruned[] = [];
  for (const folder of await visible(options.hubCacheDir)) {
    const of = repoOfFolder(folder);
    if (!of || (await isHeld(pullLockPath(options.cacheDir, of.repo, of.type)))) continue;
    gone.push(...(await pruneRepo(join(options.hubCacheDir, folder), before)));
  }
  const held = await heldLocks(join(options.cacheDir, 'locks'));
  for (const inside of held.size > 0 ? ['locks'] : ['tmp', 'locks', 'models']) {
    for (const name of await filesBelow(join(options.cacheDir, inside))) {
      if (inside === 'locks' && held.has(name)) continue;
      // Of the models that came by pip only what was being unpacked.
      if (inside === 'models' && !name.endsWith('.incomplete')) continue;
      gone.push(...(await oldFile(join(options.cacheDir, inside, name), before, 'was left behind')));
    }
  }
  if (!options.dryRun) await removeAll(gone);
  return gone;
}

async function pruneRepo(repoDir: string, before: number): Promise<Pruned[]> {
  const gone: Pruned[] = [];
  const named = new Set((await readRefs(repoDir)).map((ref) => ref.sha));
  const kept: string[] = [];
  const loose: string[] = [];
  for (const sha of await visible(join(repoDir, 'snapshots'))) {
    (named.has(sha) || (await isPinnedCommit(repoDir, sha)) ? kept : loose).push(sha);
  }
  const shared = await blobsOf(repoDir, kept);
  for (const sha of loose) {
    if (await usedSince(repoDir, sha, before, shared)) kept.push(sha);
    else {
      const parts = await snapshotParts(repoDir, sha);
      gone.push(...parts.map((part) => ({ ...part, why: 'no branch leads to it' as const })));
    }
  }
  const needed = await blobsOf(repoDir, kept);
  for (const name of await filesBelow(join(repoDir, 'blobs'))) {
    const why = /^[0-9a-f]+$/.test(name) ? 'belongs to no revision' : 'part of a download that was not finished';
    if (needed.has(name) || (await isLocked(repoDir, name)) || (await partnerIsYoung(repoDir, name, before))) continue;
    gone.push(...(await oldFile(join(repoDir, 'blobs', name), before, why)));
  }
  for (const name of await filesBelow(join(repoDir, 'snapshots'))) {
    // Folders have such names while they are made; their links take nothing.
    if (!name.startsWith('.')) continue;
    const path = join(repoDir, 'snapshots', name.split('/')[0]!);
    if (!gone.some((other) => other.path === path)) gone.push(...(await oldFile(path, before, 'was left behind')));
  }
  return gone;
}

/** Somebody is fetching it right now. */
const isLocked = (repoDir: string, name: string) => isHeld(lockPath(repoDir, name.split('.')[0]!));

async function heldLocks(folder: string): Promise<Set<string>> {
  const held = new Set<string>();
  for (const name of await readdir(folder).catch(() => [])) if (await isHeld(join(folder, name))) held.add(name);
  return held;
}

/** A part and its journal are of one age: neither may go without the other. */
async function partnerIsYoung(repoDir: string, name: string, before: number): Promise<boolean> {
  const [, stem, kind] = /^(.*\.huacaya)\.(incomplete|journal)$/.exec(name) ?? [];
  if (!stem) return false;
  const partner = join(repoDir, 'blobs', `${stem}.${kind === 'journal' ? 'incomplete' : 'journal'}`);
  return ((await stat(partner).catch(() => undefined))?.mtimeMs ?? 0) >= before;
}

/** By the files that only it has: the others are read for the sake of another revision. */
async function usedSince(repoDir: string, sha: string, since: number, shared: ReadonlySet<string>): Promise<boolean> {
  const folder = join(repoDir, 'snapshots', sha);
  if (((await stat(folder).catch(() => undefined))?.mtimeMs ?? 0) >= since) return true;
  for (const blob of await blobsOf(repoDir, [sha])) {
    const info = shared.has(blob) ? undefined : await stat(blobPath(repoDir, blob)).catch(() => undefined);
    if (info && Math.max(info.atimeMs, info.mtimeMs) >= since) return true;
  }
  return false;
}

async function oldFile(path: string, before: number, why: Pruned['why']): Promise<Pruned[]> {
  const info = await lstat(path).catch(() => undefined);
  if (!info || info.mtimeMs >= before) return [];
  return [{ path, size: info.isDirectory() ? 0 : await bytesOf(path), why }];
}
