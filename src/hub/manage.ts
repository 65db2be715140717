// What is in the caches: list it, check it against its hashes, remove it.
import { lstat, readdir, readlink, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { findInCatalog } from './catalog.ts';
import type { ModelSource } from './events.ts';
import { type FileHash, hashFile, hashFromName } from './hashFile.ts';
import { findSnapshot, locateSnapshot, readRecord, repoFolder } from './hubLayout.ts';
import { findPipModel, pipFolder, readPipRecord } from './pipDownload.ts';
import { findCached, findLocal, isRepo, notFound, type ResolveOptions } from './resolve.ts';

export interface ListedModel {
  /** Short name of the catalog, else `org/name`. */
  name: string;
  source: ModelSource;
  path: string;
  /** Bytes on the disk. */
  size: number;
  /** Hub: the branch or tag. */
  revision?: string;
  /** pip: when it was fetched, ISO 8601. */
  date?: string;
}

/** All complete models in both caches, sorted by name. */
export async function listModels(options: ResolveOptions): Promise<ListedModel[]> {
  const found: ListedModel[] = [];
  for (const folder of await names(options.hubCacheDir)) {
    const repo = /^models--(.+?)--(.+)$/.exec(folder)?.slice(1).join('/');
    if (!repo || !isRepo(repo)) continue;
    for (const revision of await names(join(options.hubCacheDir, folder, 'refs'))) {
      const snapshot = await findSnapshot(options.hubCacheDir, repo, revision);
      if (!snapshot) continue;
      const name = findInCatalog(repo, options.catalog)?.name ?? repo;
      found.push({ name, source: 'hub', path: snapshot.path, size: await sizeOfFolder(snapshot.path), revision });
    }
  }
  for (const name of await names(join(options.cacheDir, 'models'))) {
    const model = await findPipModel(options.cacheDir, name);
    if (!model) continue;
    found.push({ name, source: 'pip', path: model.path, size: model.record.size, date: model.record.date });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export interface VerifiedFile {
  file: string;
  /** `unknown`: nothing says what the hash should be. */
  status: 'ok' | 'bad' | 'unknown';
  expected?: string;
  actual?: string;
}

/**
 * Hashes a model's files again.
 * @returns one row a file; `ok` when none is bad. A file that cannot be read is bad.
 * @throws HuacayaError as resolveModel.
 */
export async function verifyModel(
  nameOrPath: string,
  options: ResolveOptions & { signal?: AbortSignal },
): Promise<{ path: string; ok: boolean; files: VerifiedFile[] }> {
  const path = await locate(nameOrPath, options);
  const files: VerifiedFile[] = [];
  for (const [file, hash] of await expectedHashes(path)) {
    if (!hash) {
      files.push({ file: basename(file), status: 'unknown' });
      continue;
    }
    const actual = await hashFile(file, hash.kind, options.signal).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      return (error as Error).message;
    });
    const status = actual === hash.value ? 'ok' : 'bad';
    files.push({ file: basename(file), status, expected: hash.value, actual });
  }
  return { path, ok: files.every((file) => file.status !== 'bad'), files };
}

/** As resolveModel, but a damaged model is found too: that is what verifying is for. */
async function locate(nameOrPath: string, options: ResolveOptions): Promise<string> {
  const whole = (await findLocal(nameOrPath)) ?? (await findCached(nameOrPath, options));
  if (whole) return whole.path;
  const entry = findInCatalog(nameOrPath, options.catalog);
  const repo = entry?.repo ?? (isRepo(nameOrPath) ? nameOrPath : undefined);
  const snapshot = repo && (await locateSnapshot(options.hubCacheDir, repo, options.revision));
  if (snapshot) return snapshot.path;
  const folder = entry && pipFolder(options.cacheDir, entry.name);
  const record = folder && (await readPipRecord(folder));
  if (record) return join(folder, record.file);
  throw notFound(nameOrPath, options);
}

/** Path of each file -> the hash it should have, from source.json, from the name of the blob, or from what was published. */
async function expectedHashes(path: string): Promise<Map<string, FileHash | undefined>> {
  const expected = new Map<string, FileHash | undefined>();
  if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) {
    const record = await readPipRecord(dirname(path));
    const known = record?.file === basename(path);
    expected.set(path, known ? { kind: 'sha256', value: record.sha256 } : undefined);
    return expected;
  }
  const inHubCache = basename(dirname(path)) === 'snapshots';
  const record = inHubCache ? await readRecord(dirname(dirname(path)), basename(path)) : undefined;
  for (const file of record ?? []) expected.set(join(path, file.name), hashFromName(file.blob));
  for (const name of await names(path)) {
    const file = join(path, name);
    const info = await lstat(file);
    if (info.isDirectory() || expected.has(file)) continue;
    // One step only: Python may make the blob itself a link into a store with other names.
    expected.set(file, info.isSymbolicLink() ? hashFromName(basename(await readlink(file))) : undefined);
  }
  return expected;
}

/**
 * Removes a model from the caches, whatever state it is in. The hub's cache is shared: Python loses it too.
 * @returns the folders that are gone. @throws HuacayaError MODEL_NOT_FOUND when there was nothing.
 */
export async function removeModel(
  name: string,
  options: ResolveOptions & { source?: ModelSource },
): Promise<{ removed: string[] }> {
  const entry = findInCatalog(name, options.catalog);
  const repo = entry?.repo ?? (isRepo(name) ? name : undefined);
  const folders: string[] = [];
  if (repo && options.source !== 'pip') folders.push(repoFolder(options.hubCacheDir, repo));
  if (entry && options.source !== 'hub') folders.push(pipFolder(options.cacheDir, entry.name));
  const removed: string[] = [];
  for (const folder of folders) {
    if (!(await stat(folder).catch(() => undefined))) continue;
    await rm(folder, { recursive: true, force: true });
    removed.push(folder);
  }
  if (removed.length === 0) throw notFound(name, options);
  return { removed };
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
}

async function sizeOfFolder(folder: string): Promise<number> {
  let size = 0;
  for (const name of await names(folder)) size += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
  return size;
}
