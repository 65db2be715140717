// Lists of a commit's files with their hashes, kept beside it so that nothing needs the network later: Python's
// `trees/<commit>.json`, and our own record of what was published and where it came from.
// Source: huggingface_hub 2.4, _tree_cache.py, format_version 1.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/node.ts';
import { hashFromName } from './hashFile.ts';
import { type HubFile, type HubListing, isSafeName } from './hubFiles.ts';
import type { FilePlan } from './plan.ts';

interface TreeEntry {
  size: number;
  blob_id: string;
  lfs_sha256?: string;
  lfs_size?: number;
}

export type RecordSource = 'hub' | 'modelscope';

/** What was published for a commit. */
export interface PublishedFile {
  name: string;
  /** Name in `blobs`: the hash. */
  blob: string;
  size: number;
}

export interface SnapshotRecord {
  files: PublishedFile[];
  /** How they were chosen; `files`: by patterns, so they need not make a model. Absent in records of version 0.1. */
  kind?: FilePlan['kind'];
  /** Where the files can be had again; absent in records of version 0.1: the hub. */
  source?: RecordSource;
  /** What the source calls this state of the repository, when that is not the commit. */
  revision?: string;
  /** It was asked for by its commit: no ref leads to it, and it is wanted all the same. */
  pinned?: boolean;
  /** All files of the commit, also those that were not fetched. */
  listing?: Record<string, TreeEntry>;
}

const recordPath = (repoDir: string, sha: string) => join(repoDir, '.huacaya', `${sha}.json`);
const treePath = (repoDir: string, sha: string) => join(repoDir, 'trees', `${sha}.json`);

/** Undefined when somebody else made the folder. */
export async function readRecord(repoDir: string, sha: string): Promise<SnapshotRecord | undefined> {
  const record = (await readJsonFile(recordPath(repoDir, sha))) as SnapshotRecord | undefined;
  const good =
    Array.isArray(record?.files) && record.files.every((f) => isSafeName(f?.name ?? '') && isSafeName(f?.blob ?? ''));
  return good ? record : undefined;
}

export async function writeRecord(repoDir: string, sha: string, record: SnapshotRecord): Promise<void> {
  await writeFileAtomic(recordPath(repoDir, sha), JSON.stringify(record, null, 1));
}

export function listingEntries(listing: HubListing): Record<string, TreeEntry> {
  const entries: [string, TreeEntry][] = [...listing.files.values()].map((file) => [file.name, treeEntry(file)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function treeEntry({ size, hash, pointer }: HubFile): TreeEntry {
  if (hash.kind === 'git-sha1') return { size, blob_id: hash.value };
  return { size, blob_id: pointer ?? '', lfs_sha256: hash.value, lfs_size: size };
}

/** Every file that is known to belong to a commit, from our record or from Python's tree; undefined: nobody wrote it down. */
export async function readListing(repoDir: string, sha: string): Promise<HubListing | undefined> {
  const record = await readRecord(repoDir, sha);
  const entries = record?.listing ?? (await readPythonTree(repoDir, sha));
  if (!entries) return undefined;
  const files = new Map<string, HubFile>();
  for (const [name, entry] of Object.entries(entries)) {
    const hash = hashFromName(String(entry?.lfs_sha256 ?? entry?.blob_id));
    const size = entry?.lfs_size ?? entry?.size;
    if (!isSafeName(name) || !hash || !Number.isSafeInteger(size)) continue;
    files.set(name, { name, size, hash, ...(entry.lfs_sha256 && entry.blob_id ? { pointer: entry.blob_id } : {}) });
  }
  return { sha, names: [...files.keys()], files };
}

async function readPythonTree(repoDir: string, sha: string): Promise<Record<string, TreeEntry> | undefined> {
  const tree = (await readJsonFile(treePath(repoDir, sha))) as
    | { format_version?: unknown; files?: Record<string, TreeEntry> }
    | undefined;
  return tree?.format_version === 1 && typeof tree.files === 'object' && tree.files ? tree.files : undefined;
}

/**
 * Writes Python's list. Only for a snapshot that has every file: with a list, Python calls a folder incomplete that lacks
 * one, and offline it would not use it, though nothing is missing that anybody reads.
 */
export async function writePythonTree(repoDir: string, listing: HubListing): Promise<void> {
  const tree = { format_version: 1, files: listingEntries(listing) };
  await writeFileAtomic(treePath(repoDir, listing.sha), JSON.stringify(tree, null, 1));
}

async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
