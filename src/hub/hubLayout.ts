// The Hugging Face cache, shared with Python: blobs named by hash, one folder of links a commit, refs that name commits.
// Source: https://huggingface.co/docs/hub/local-cache
import { randomBytes } from 'node:crypto';
import { copyFile, link, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileError, writeFileAtomic, writeFolderAtomic } from '../base/node.ts';
import { isSafeName } from './hubFiles.ts';

export function repoFolder(hubCacheDir: string, repo: string): string {
  return join(hubCacheDir, `models--${repo.replace('/', '--')}`);
}

export interface PublishedFile {
  name: string;
  /** Name in `blobs`: the hash. */
  blob: string;
  size: number;
}

/** How a name in a snapshot is made to show a blob; replaced in tests. */
export interface LinkTools {
  symlink(target: string, path: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  copyFile(from: string, to: string): Promise<void>;
}

const realLinks: LinkTools = { symlink: (target, path) => symlink(target, path, 'file'), link, copyFile };

/**
 * Makes a commit visible: its folder of links, then the ref. All blobs must be there and verified.
 * Where links are not allowed (Windows without developer mode) the files are hard links, else copies.
 * @returns the snapshot's folder.
 */
export async function publishSnapshot(
  repoDir: string,
  commit: { sha: string; revision: string; files: readonly PublishedFile[] },
  links: LinkTools = realLinks,
): Promise<string> {
  const target = join(repoDir, 'snapshots', commit.sha);
  const blobPath = (file: PublishedFile) => join(repoDir, 'blobs', file.blob);
  // A copy does not tell its hash by a link, so what was published is written down too.
  await writeFileAtomic(recordPath(repoDir, commit.sha), JSON.stringify({ files: commit.files }, null, 1));
  if (await stat(target).catch(() => undefined)) {
    // Python made the folder, with fewer files.
    for (const file of commit.files) {
      const temporary = join(target, `.${file.name}.${randomBytes(4).toString('hex')}.tmp`);
      await place(blobPath(file), temporary, links);
      await rename(temporary, join(target, file.name)).catch(async (cause) => {
        await rm(temporary, { force: true });
        throw fileError(join(target, file.name), cause);
      });
    }
  } else {
    await writeFolderAtomic(target, async (temporary) => {
      for (const file of commit.files) await place(blobPath(file), join(temporary, file.name), links);
    });
  }
  if (commit.revision !== commit.sha) await writeFileAtomic(join(repoDir, 'refs', commit.revision), commit.sha);
  return target;
}

async function place(blob: string, path: string, links: LinkTools): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await links
    .symlink(relative(dirname(path), blob), path)
    .catch(() => links.link(blob, path))
    .catch(() => links.copyFile(blob, path));
}

function recordPath(repoDir: string, sha: string): string {
  return join(repoDir, '.huacaya', `${sha}.json`);
}

/** What Huacaya published for a commit; undefined when somebody else made the folder. */
export async function readRecord(repoDir: string, sha: string): Promise<PublishedFile[] | undefined> {
  try {
    const { files } = JSON.parse(await readFile(recordPath(repoDir, sha), 'utf8')) as { files: PublishedFile[] };
    return Array.isArray(files) && files.every((file) => isSafeName(file.name)) ? files : undefined;
  } catch {
    return undefined;
  }
}

export interface Snapshot {
  path: string;
  sha: string;
}

/** The snapshot that a revision names, in whatever state; undefined when there is none. */
export async function locateSnapshot(
  hubCacheDir: string,
  repo: string,
  revision = 'main',
): Promise<Snapshot | undefined> {
  const repoDir = repoFolder(hubCacheDir, repo);
  const sha = /^[0-9a-f]{40}$/.test(revision)
    ? revision
    : (await readFile(join(repoDir, 'refs', revision), 'utf8').catch(() => '')).trim();
  if (!/^[0-9a-f]{40}$/.test(sha)) return undefined;
  const path = join(repoDir, 'snapshots', sha);
  return (await stat(path).catch(() => undefined)) ? { path, sha } : undefined;
}

/** The complete snapshot that a revision names, or undefined. Never asks the network. */
export async function findSnapshot(
  hubCacheDir: string,
  repo: string,
  revision = 'main',
): Promise<Snapshot | undefined> {
  const found = await locateSnapshot(hubCacheDir, repo, revision);
  if (!found) return undefined;
  const record = await readRecord(repoFolder(hubCacheDir, repo), found.sha);
  return (await isComplete(found.path, record)) ? found : undefined;
}

/** Python may have fetched only some files: a folder counts when configuration, tokenizer and every weight file are there. */
async function isComplete(path: string, record: PublishedFile[] | undefined): Promise<boolean> {
  const size = async (name: string) => (await stat(join(path, name)).catch(() => undefined))?.size;
  const all = async (names: Iterable<string>) => {
    for (const name of names) if (!isSafeName(name) || (await size(name)) === undefined) return false;
    return true;
  };
  if (record) {
    for (const file of record) if ((await size(file.name)) !== file.size) return false;
    return true;
  }
  if (await all(['adapter_config.json', 'adapter_model.safetensors'])) return true;
  if (!(await all(['config.json']))) return false;
  if (!(await all(['tokenizer.json'])) && !(await all(['tokenizer.model']))) return false;
  const index = await readFile(join(path, 'model.safetensors.index.json'), 'utf8').catch(() => undefined);
  if (index === undefined) return all(['model.safetensors']);
  try {
    const { weight_map } = JSON.parse(index) as { weight_map: Record<string, string> };
    return await all(new Set(Object.values(weight_map)));
  } catch {
    return false;
  }
}
