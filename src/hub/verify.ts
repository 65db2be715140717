// Checks a model's files against their hashes, without the network.
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type FileHash, hashFile, hashFromName } from './hashFile.ts';
import { repoOfFolder } from './hubLayout.ts';
import { readListing, readRecord } from './hubTree.ts';
import { pipFolder, readPipRecord } from './pipDownload.ts';
import { planFiles } from './plan.ts';
import { findCached, findLocal, notFound, type ResolveOptions, readName } from './resolve.ts';
import { isWhole, locateSnapshot } from './snapshots.ts';

export interface VerifiedFile {
  /** Name in the repository, or of the file. */
  file: string;
  /**
   * `short`: the first bytes may be right, the rest is missing. `wrong`: other bytes, or more of them.
   * `unknown`: nothing says what the hash should be.
   */
  status: 'ok' | 'missing' | 'short' | 'wrong' | 'unreadable' | 'unknown';
  /** Bytes it should have. */
  size?: number;
  /** Bytes it has. */
  actualSize?: number;
  expected?: string;
  actual?: string;
}

export interface Verified {
  /** What was verified: a snapshot's folder or a file. */
  path: string;
  /** True when no file is missing, short, wrong or unreadable. */
  ok: boolean;
  files: VerifiedFile[];
}

export interface VerifyOptions extends ResolveOptions {
  signal?: AbortSignal;
  /** false: only lengths are compared. */
  hash?: boolean;
  /** Called before each file: hashing a large one takes a while. */
  onStart?: (name: string) => void;
  /** Called after each file. */
  onFile?: (file: VerifiedFile) => void;
}

/** Something is wrong with it; of an `unknown` file nobody can say. */
export const isBad = ({ status }: VerifiedFile) => status !== 'ok' && status !== 'unknown';

/**
 * Hashes a model's files again. Nothing is asked of the network.
 * @returns one row a file.
 * @throws HuacayaError as resolveModel.
 */
export async function verifyModel(nameOrPath: string, options: VerifyOptions): Promise<Verified> {
  const path = await locate(nameOrPath, options);
  const files: VerifiedFile[] = [];
  for (const [file, expected] of await expectedFiles(path)) {
    options.onStart?.(expected.name);
    const row = await check(file, expected, options);
    files.push(row);
    options.onFile?.(row);
  }
  return { path, ok: !files.some(isBad), files };
}

interface Expected {
  name: string;
  size?: number;
  hash?: FileHash;
}

async function check(path: string, expected: Expected, options: VerifyOptions): Promise<VerifiedFile> {
  const { signal } = options;
  const { name: file, size, hash } = expected;
  const row = { file, ...(size === undefined ? {} : { size }), ...(hash ? { expected: hash.value } : {}) };
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (info instanceof Error) return { ...row, status: info.code === 'ENOENT' ? 'missing' : 'unreadable' };
  const found = { ...row, actualSize: info.size };
  if (size !== undefined && info.size < size) return { ...found, status: 'short' };
  if (size !== undefined && info.size > size) return { ...found, status: 'wrong' };
  if (!hash) return { ...found, status: 'unknown' };
  if (options.hash === false) return { ...found, status: 'ok' };
  try {
    const actual = await hashFile(path, hash.kind, signal);
    return { ...found, status: actual === hash.value ? 'ok' : 'wrong', actual };
  } catch (error) {
    signal?.throwIfAborted();
    return { ...found, status: 'unreadable', actual: (error as Error).message };
  }
}

/** As resolveModel, but a damaged model is found too: that is what verifying is for. */
async function locate(nameOrPath: string, options: ResolveOptions): Promise<string> {
  const local = await findLocal(nameOrPath);
  if (local) return local.path;
  const { name, entry, repo, revision } = readName(nameOrPath, options);
  const snapshot = repo && (await locateSnapshot(options.hubCacheDir, repo, revision, options.repoType));
  const cached = await findCached(nameOrPath, options);
  // A model may be opened by one file inside: everything that came with it is verified.
  if (snapshot && (!cached || cached.source === 'hub')) return snapshot.path;
  if (cached) return cached.path;
  const folder = entry && pipFolder(options.cacheDir, entry.name);
  const record = folder && (await readPipRecord(folder));
  if (record) return join(folder, record.file);
  throw notFound(name, options);
}

/** Where in the Hugging Face cache a folder is; undefined when it is somewhere else. */
export function placeOf(path: string): { repoDir: string; sha: string } | undefined {
  if (basename(dirname(path)) !== 'snapshots') return undefined;
  return { repoDir: dirname(dirname(path)), sha: basename(path) };
}

/** Path of each file -> what it should be, from source.json, from what was published, from Python's list, or from the name of the blob. */
async function expectedFiles(path: string): Promise<Map<string, Expected>> {
  const expected = new Map<string, Expected>();
  if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) {
    const record = await readPipRecord(dirname(path));
    const known = record?.file === basename(path);
    const name = basename(path);
    if (known) expected.set(path, { name, size: record.size, hash: { kind: 'sha256', value: record.sha256 } });
    else expected.set(path, { name, ...(await hashOfLink(path)) });
    return expected;
  }
  const place = placeOf(path);
  for (const file of place ? await wantedFiles(place.repoDir, place.sha) : []) {
    expected.set(join(path, file.name), file);
  }
  const listing = place && (await readListing(place.repoDir, place.sha));
  for (const name of await namesBelow(path)) {
    const file = join(path, name);
    if (expected.has(file)) continue;
    expected.set(file, listing?.files.get(name) ?? { name, ...(await hashOfLink(file)) });
  }
  return expected;
}

/** What must be there: all that we published; of what Python made, what a model of its form lacks. */
async function wantedFiles(repoDir: string, sha: string): Promise<Expected[]> {
  const record = await readRecord(repoDir, sha);
  if (record) {
    return record.files.map(({ name, size, blob }) => {
      const hash = hashFromName(blob);
      return { name, size, ...(hash ? { hash } : {}) };
    });
  }
  const found = repoOfFolder(basename(repoDir));
  const listing = found && (await readListing(repoDir, sha));
  if (!listing || (await isWhole(repoDir, sha, found.type))) return [];
  try {
    return planFiles(found.repo, listing, { repoType: found.type }).files;
  } catch {
    // A repository of another kind: nobody can say what is missing.
    return [];
  }
}

/** One step only: Python may make the blob itself a link into a store with other names. */
async function hashOfLink(path: string): Promise<{ hash?: FileHash }> {
  const hash = hashFromName(basename(await readlink(path).catch(() => '')));
  return hash ? { hash } : {};
}

/** Names of all files below, `/` between their parts, without hidden ones. */
async function namesBelow(folder: string): Promise<string[]> {
  const names: string[] = [];
  const visit = async (inside: string) => {
    for (const name of (await readdir(join(folder, inside)).catch(() => [])).sort()) {
      if (name.startsWith('.')) continue;
      const path = inside ? `${inside}/${name}` : name;
      if ((await lstat(join(folder, path))).isDirectory()) await visit(path);
      else names.push(path);
    }
  };
  await visit('');
  return names;
}
