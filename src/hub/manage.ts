// What is in the caches: every model, adapter and data set with its size, its revision and when it was last used.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { findInCatalog } from './catalog.ts';
import type { ModelSource } from './events.ts';
import { repoFolder, repoOfFolder } from './hubLayout.ts';
import { readRecord } from './hubTree.ts';
import { findPipModel } from './pipDownload.ts';
import type { RepoType } from './plan.ts';
import { isRepo, openedPath, type ResolveOptions } from './resolve.ts';
import { isWhole } from './snapshots.ts';

export interface ListedModel {
  /** Short name of the catalog, else `org/name`. */
  name: string;
  source: ModelSource;
  type: RepoType | 'adapter';
  path: string;
  /** Bytes on the disk. */
  size: number;
  /** False: a download was not finished, or somebody wanted only some files. */
  complete: boolean;
  /** Hub: the branch or tag, or the commit where no branch leads to it. */
  revision?: string;
  /** Hub: the commit. */
  sha?: string;
  /** Last time that a file of it was read, ISO 8601; many systems write that down once a day at most. */
  used?: string;
  /** pip: when it was fetched, ISO 8601. */
  date?: string;
}

/** All snapshots and models in both caches, sorted by name. */
export async function listModels(options: ResolveOptions): Promise<ListedModel[]> {
  const found: ListedModel[] = [];
  for (const folder of await visible(options.hubCacheDir)) {
    const of = repoOfFolder(folder);
    if (of && isRepo(of.repo)) found.push(...(await listRepo(of.repo, of.type, options)));
  }
  for (const name of await visible(join(options.cacheDir, 'models'))) {
    const model = await findPipModel(options.cacheDir, name);
    if (!model) continue;
    const { size, date } = model.record;
    const used = await lastUse(model.path);
    found.push({ name, source: 'pip', type: 'model', path: model.path, size, complete: true, ...used, date });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

async function listRepo(repo: string, type: RepoType, options: ResolveOptions): Promise<ListedModel[]> {
  const repoDir = repoFolder(options.hubCacheDir, repo, type);
  const refs = await readRefs(repoDir);
  const name = (type === 'model' && findInCatalog(repo, options.catalog)?.name) || repo;
  const rows: ListedModel[] = [];
  for (const sha of await visible(join(repoDir, 'snapshots'))) {
    const folder = join(repoDir, 'snapshots', sha);
    const names = await filesBelow(folder);
    const isAdapter = names.includes('adapter_config.json') && !names.includes('config.json');
    const row = {
      name,
      source: 'hub' as const,
      type: type === 'model' && isAdapter ? ('adapter' as const) : type,
      path: await openedPath(options.hubCacheDir, repo, sha, type),
      size: await sizeOfFiles(folder, names),
      complete: await isWhole(repoDir, sha, type),
      sha,
      ...(await lastUse(...names.map((file) => join(folder, file)))),
    };
    const revisions = refs.filter((ref) => ref.sha === sha).map((ref) => ref.name);
    // Where no ref leads, only the commit names it.
    for (const revision of revisions.length > 0 ? revisions : [sha]) rows.push({ ...row, revision });
  }
  return rows;
}

/** Branches and tags that lead to a commit; their names may have slashes. */
export async function readRefs(repoDir: string): Promise<{ name: string; sha: string }[]> {
  const folder = join(repoDir, 'refs');
  const refs: { name: string; sha: string }[] = [];
  for (const name of await filesBelow(folder)) {
    if (/\.tmp$/.test(name)) continue;
    refs.push({ name, sha: (await readFile(join(folder, name), 'utf8').catch(() => '')).trim() });
  }
  return refs;
}

/** True when a commit was asked for by its number. */
export async function isPinnedCommit(repoDir: string, sha: string): Promise<boolean> {
  return (await readRecord(repoDir, sha))?.pinned === true;
}

/** Entries of a folder that are not hidden; none where there is no folder. */
export async function visible(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.')).sort();
}

/** Names of all files and links below a folder, `/` between their parts; none where there is no folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

async function sizeOfFiles(folder: string, names: readonly string[]): Promise<number> {
  let size = 0;
  for (const name of names) size += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
  return size;
}

async function lastUse(...paths: string[]): Promise<{ used?: string }> {
  let last = 0;
  for (const path of paths) last = Math.max(last, (await stat(path).catch(() => undefined))?.atimeMs ?? 0);
  return last > 0 ? { used: new Date(last).toISOString() } : {};
}
