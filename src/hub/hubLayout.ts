// The Hugging Face cache, shared with Python: blobs named by hash, one folder of links a commit, refs that name commits.
// Source: https://huggingface.co/docs/hub/local-cache, and huggingface_hub 2.4 (file_download.py).
import { randomBytes } from 'node:crypto';
import { copyFile, link, lstat, mkdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileError, writeFileAtomic, writeFolderAtomic } from '../base/node.ts';
import type { HubListing } from './hubFiles.ts';
import {
  listingEntries,
  type PublishedFile,
  type RecordSource,
  readRecord,
  writePythonTree,
  writeRecord,
} from './hubTree.ts';
import type { FilePlan, RepoType } from './plan.ts';

export function repoFolder(hubCacheDir: string, repo: string, type: RepoType = 'model'): string {
  return join(hubCacheDir, `${type}s--${repo.replace('/', '--')}`);
}

/** The repository whose folder this is; undefined for anything else in the cache. */
export function repoOfFolder(name: string): { repo: string; type: RepoType } | undefined {
  const [, type, org, rest] = /^(model|dataset)s--(.+?)--(.+)$/.exec(name) ?? [];
  return type && org && rest ? { repo: `${org}/${rest}`, type: type as RepoType } : undefined;
}

export const blobPath = (repoDir: string, blob: string) => join(repoDir, 'blobs', blob);

/**
 * Beside Python's lock of the same blob, under another name: Python locks an open file (flock), which Node cannot, and
 * leaves the file behind. Both sides write parts under names of their own and rename, so that a race costs time only.
 */
export function lockPath(repoDir: string, blob: string): string {
  return join(dirname(repoDir), '.locks', basename(repoDir), `${blob}.huacaya.lock`);
}

/** How a name in a snapshot is made to show a blob; replaced in tests. */
export interface LinkTools {
  symlink(target: string, path: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  copyFile(from: string, to: string): Promise<void>;
}

const realLinks: LinkTools = { symlink: (target, path) => symlink(target, path, 'file'), link, copyFile };

export interface PublishedCommit {
  sha: string;
  /** Branches and tags that lead to it. */
  refs: readonly string[];
  files: readonly PublishedFile[];
  kind?: FilePlan['kind'];
  /** Everything that the commit has. */
  listing?: HubListing;
  source?: RecordSource;
  /** See SnapshotRecord. */
  revision?: string;
}

/**
 * Makes a commit visible: its folder of links, then the refs. All blobs must be there and verified. What was published of
 * the commit before stays.
 * Where links are not allowed (Windows without developer mode) the files are hard links, else copies.
 * @returns the snapshot's folder.
 */
export async function publishSnapshot(
  repoDir: string,
  commit: PublishedCommit,
  links: LinkTools = realLinks,
): Promise<string> {
  const { sha, refs, files, listing } = commit;
  const target = join(repoDir, 'snapshots', sha);
  await writeTag(dirname(repoDir));
  // A copy does not tell its hash by a link, so what was published is written down too.
  const before = await readRecord(repoDir, sha);
  const names = new Set(files.map((file) => file.name));
  const all = [...(before?.files.filter((file) => !names.has(file.name)) ?? []), ...files];
  await writeRecord(repoDir, sha, {
    ...before,
    files: all,
    // Files that were fetched by pattern do not make less of the model that was there before.
    ...(commit.kind && (before?.kind ?? 'files') === 'files' ? { kind: commit.kind } : {}),
    ...(commit.source === 'modelscope' ? { source: commit.source } : {}),
    ...(commit.revision ? { revision: commit.revision } : {}),
    ...(refs.length === 0 ? { pinned: true } : {}),
    ...(listing ? { listing: listingEntries(listing) } : {}),
  });
  if (await stat(target).catch(() => undefined)) await addLinks(repoDir, target, files, links);
  else {
    const fill = async (temporary: string) => {
      for (const file of files) await place(blobPath(repoDir, file.blob), join(temporary, file.name), links);
    };
    await writeFolderAtomic(target, fill).catch(async (error) => {
      // Python may have made the folder this very moment.
      if (!(await stat(target).catch(() => undefined))) throw error;
      await addLinks(repoDir, target, files, links);
    });
  }
  if (listing && commit.source !== 'modelscope') {
    const have = new Set(all.map((file) => file.name));
    if (listing.names.every((name) => have.has(name))) await writePythonTree(repoDir, listing);
  }
  for (const ref of refs) await writeRef(repoDir, ref, sha);
  return target;
}

/** Makes names of a snapshot show their blobs, and leaves all others as they are: Python may have made the folder. */
export async function addLinks(
  repoDir: string,
  target: string,
  files: readonly PublishedFile[],
  links: LinkTools = realLinks,
): Promise<void> {
  for (const file of files) {
    const path = join(target, file.name);
    const blob = blobPath(repoDir, file.blob);
    if ((await readlink(path).catch(() => '')) === relative(dirname(path), blob)) continue;
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`);
    await place(blob, temporary, links);
    await rename(temporary, path).catch(async (cause) => {
      await rm(temporary, { force: true });
      throw fileError(path, cause);
    });
    // Between two names of one file (hard links) a rename does nothing.
    await rm(temporary, { force: true });
  }
}

async function place(blob: string, path: string, links: LinkTools): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await links
      .symlink(relative(dirname(path), blob), path)
      .catch(() => links.link(blob, path))
      .catch(() => links.copyFile(blob, path));
  } catch (cause) {
    throw fileError(path, cause);
  }
}

async function writeRef(repoDir: string, ref: string, sha: string): Promise<void> {
  const path = join(repoDir, 'refs', ref);
  if ((await readFile(path, 'utf8').catch(() => '')) !== sha) await writeFileAtomic(path, sha);
}

/** Tells backup programs to pass the folder by. Source: https://bford.info/cachedir/ */
async function writeTag(hubCacheDir: string): Promise<void> {
  const path = join(hubCacheDir, 'CACHEDIR.TAG');
  if (await lstat(path).catch(() => undefined)) return;
  const text =
    'Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache, made by Huacaya for Hugging Face files.\n';
  // Nothing depends on it.
  await writeFileAtomic(path, text).catch(() => {});
}
