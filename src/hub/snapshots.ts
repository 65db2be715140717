// Finds what is in the Hugging Face cache: the commit that a revision names, whether it is whole, and the model inside it.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSafeName } from './hubFiles.ts';
import { repoFolder } from './hubLayout.ts';
import { readListing, readRecord } from './hubTree.ts';
import type { RepoType } from './plan.ts';

export interface Snapshot {
  path: string;
  sha: string;
}

const isCommit = (text: string) => /^[0-9a-f]{40}$/.test(text);

/** The snapshot that a revision names, in whatever state; undefined when there is none. */
export async function locateSnapshot(
  hubCacheDir: string,
  repo: string,
  revision = 'main',
  type: RepoType = 'model',
): Promise<Snapshot | undefined> {
  const repoDir = repoFolder(hubCacheDir, repo, type);
  const sha = isCommit(revision)
    ? revision
    : (await readFile(join(repoDir, 'refs', revision), 'utf8').catch(() => '')).trim();
  if (!isCommit(sha)) return undefined;
  const path = join(repoDir, 'snapshots', sha);
  return (await stat(path).catch(() => undefined)) ? { path, sha } : undefined;
}

/** The complete snapshot that a revision names, or undefined. Never asks the network. */
export async function findSnapshot(
  hubCacheDir: string,
  repo: string,
  revision = 'main',
  type: RepoType = 'model',
): Promise<Snapshot | undefined> {
  const found = await locateSnapshot(hubCacheDir, repo, revision, type);
  return found && (await isWhole(repoFolder(hubCacheDir, repo, type), found.sha, type)) ? found : undefined;
}

/** True when a snapshot has what it needs: what we published of it, or what a model of its form consists of. */
export async function isWhole(repoDir: string, sha: string, type: RepoType = 'model'): Promise<boolean> {
  const path = join(repoDir, 'snapshots', sha);
  const size = async (name: string) => (await stat(join(path, name)).catch(() => undefined))?.size;
  const record = await readRecord(repoDir, sha);
  if (record) {
    for (const file of record.files) if ((await size(file.name)) !== file.size) return false;
    return type === 'dataset' || record.kind !== 'files' || (await isModel(path));
  }
  if (type === 'model') return isModel(path);
  // Python wrote down what the data set has, or nobody knows better than its folder.
  const listing = await readListing(repoDir, sha);
  if (!listing) return (await readdir(path)).length > 0;
  for (const file of listing.files.values()) if ((await size(file.name)) !== file.size) return false;
  return true;
}

/** Python may have fetched only some files: a folder counts when configuration, tokenizer and every weight file are there. */
async function isModel(path: string): Promise<boolean> {
  const all = async (names: Iterable<string>) => {
    for (const name of names) {
      if (!isSafeName(name) || !(await stat(join(path, name)).catch(() => undefined))) return false;
    }
    return true;
  };
  const any = async (...lists: string[][]) => {
    for (const names of lists) if (await all(names)) return true;
    return false;
  };
  if (await any(['adapter_config.json', 'adapter_model.safetensors'], ['adapter_config.json', 'adapter_model.bin'])) {
    return true;
  }
  for (const folder of ['', 'original/']) {
    if (await all(['params.json', 'tokenizer.model', 'consolidated.00.pth'].map((name) => folder + name))) return true;
  }
  // Some keep each precision in a folder of its own.
  if ((await readdir(path, { recursive: true })).some((name) => /\.gguf$/i.test(name))) return true;
  if (!(await any(['config.json', 'tokenizer.json'], ['config.json', 'tokenizer.model']))) return false;
  for (const whole of ['model.safetensors', 'pytorch_model.bin']) {
    const index = await readFile(join(path, `${whole}.index.json`), 'utf8').catch(() => undefined);
    const shards = index === undefined ? [whole] : shardsOf(index);
    if (shards && (await all(shards))) return true;
  }
  return false;
}

function shardsOf(index: string): Set<string> | undefined {
  try {
    const { weight_map } = JSON.parse(index) as { weight_map: Record<string, string> };
    return new Set(Object.values(weight_map));
  } catch {
    return undefined;
  }
}

const part = /-\d{5}-of-(\d{5})\.gguf$/i;
const isPart = (name: string) => part.test(name);
const stemOfPart = (name: string) => name.replace(part, '-of-$1');

/**
 * What is to be opened of a snapshot: its only GGUF file, Meta's folder, or the snapshot itself.
 * @param wanted names of the files that were asked for; default: all that are there.
 */
export async function modelPath(repoDir: string, sha: string, wanted?: readonly string[]): Promise<string> {
  const path = join(repoDir, 'snapshots', sha);
  const record = await readRecord(repoDir, sha);
  const names = wanted ?? record?.files.map((file) => file.name) ?? (await readdir(path).catch(() => []));
  if (names.some((name) => /^[^/]+\.(safetensors|bin)$/.test(name))) return path;
  const ggufs = names.filter((name) => /\.gguf$/i.test(name));
  // Of parts the first stands for all: they may be in a folder.
  const [first] = ggufs.length > 1 && new Set(ggufs.map(stemOfPart)).size === 1 ? [...ggufs].sort() : ggufs;
  if (first !== undefined && (ggufs.length === 1 || isPart(first))) return join(path, first);
  const inOriginal = await stat(join(path, 'original', 'params.json')).catch(() => undefined);
  return inOriginal && !names.includes('params.json') ? join(path, 'original') : path;
}
