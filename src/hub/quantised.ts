// Files with converted weights in our own cache: found, counted, bounded, deleted. What is in them is the engine's business.
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

const extension = '.weights';
/** A file that nobody has written to for so long was left behind by a process that died. */
const abandonedMs = 3_600_000;

/** All of them together; the ones used longest ago go first. Room for a few 7B models. */
export const quantisedLimit = 40e9;

export const quantisedFolder = (cacheDir: string) => join(cacheDir, 'quantised');

export interface QuantisedFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Last use, in milliseconds since 1970. */
  used: number;
}

/** Where weights are kept: a name for people, and the start of a hash. */
export function quantisedPath(cacheDir: string, name: string, hash: string): string {
  const readable = name.replace(/[^\w.-]+/g, '_').slice(0, 80);
  return join(quantisedFolder(cacheDir), `${readable}-${hash.slice(0, 16)}${extension}`);
}

async function filesIn(cacheDir: string, accept: (name: string) => boolean): Promise<QuantisedFile[]> {
  const folder = quantisedFolder(cacheDir);
  const found: QuantisedFile[] = [];
  for (const name of (await readdir(folder).catch(() => [])).filter(accept)) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined);
    if (info?.isFile()) found.push({ path, size: info.size, used: info.mtimeMs });
  }
  return found.sort((a, b) => b.used - a.used);
}

const isWhole = (name: string) => name.endsWith(extension) && !name.startsWith('.');
const isPartial = (name: string) => name.startsWith('.') && name.endsWith('.tmp');

/** The last used first. */
export const listQuantised = (cacheDir: string) => filesIn(cacheDir, isWhole);

/** Notes that a file was used. A cache that cannot be written to is still good to read from. */
export async function markUsed(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

/**
 * Makes room: deletes what was left behind half written, and the files used longest ago until all the rest takes no more
 * than `limit` bytes. @param keep never deleted. @returns what is gone.
 */
export async function pruneQuantised(cacheDir: string, keep: string, limit = quantisedLimit): Promise<QuantisedFile[]> {
  const abandoned = await filesIn(cacheDir, isPartial);
  const gone = abandoned.filter((f) => Date.now() - f.used > abandonedMs);
  let total = 0;
  for (const file of await listQuantised(cacheDir)) {
    total += file.size;
    if (total > limit && file.path !== keep) gone.push(file);
  }
  for (const { path } of gone) await rm(path, { force: true }).catch(() => {});
  return gone;
}

/** Deletes all of them, also what is half written. @returns what is gone. */
export async function removeQuantised(cacheDir: string): Promise<QuantisedFile[]> {
  const all = await filesIn(cacheDir, (name) => isWhole(name) || isPartial(name));
  for (const { path } of all) await rm(path, { force: true });
  return all;
}
