// The hub's list of a repository's files, read with suspicion, and the choice of those that a model needs.
// Source: GET /api/models/{repo}/revision/{revision}?blobs=true, https://huggingface.co/docs/hub/api
import { HuacayaError, usageError } from '../base/index.ts';
import type { FileHash } from './hashFile.ts';

export interface HubFile {
  name: string;
  /** Bytes. */
  size: number;
  hash: FileHash;
}

export interface HubListing {
  /** Commit, 40 hexadecimal digits. */
  sha: string;
  /** Names of all files, also those that are not wanted. */
  names: string[];
  /** Files whose hash and size the hub gave, by name. */
  files: Map<string, HubFile>;
}

/** What a LLaMA-family model or an adapter consists of; all at the top of the repository. */
export const DEFAULT_FILES: readonly string[] = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'model.safetensors.index.json',
  'adapter_config.json',
  'LICENSE*',
  'README.md',
  '*.safetensors',
];

/** @throws HuacayaError USAGE when `repo` is not `org/name` with the letters that the hub allows. */
export function checkRepo(repo: string): void {
  const parts = repo.split('/');
  const good = parts.length === 2 && parts.every((part) => /^[A-Za-z0-9_][\w.-]*$/.test(part) && !/\.\.|--/.test(part));
  if (!good) throw usageError(`${repo}: is not the name of a repository`, 'A repository is written org/name.');
}

/** @throws HuacayaError USAGE when a revision could leave the `refs` folder. */
export function checkRevision(revision: string): void {
  if (!isSafeName(revision)) throw usageError(`${revision}: is not a branch, a tag or a commit`);
}

/** True for a relative path that stays below its folder on every system. */
export function isSafeName(name: string): boolean {
  if (name === '' || /[\\\p{Cc}]/u.test(name) || /^[A-Za-z]:/.test(name)) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** @throws HuacayaError HUB_BAD_ANSWER when the answer has another shape or a name that could leave the folder. */
export function parseListing(repo: string, answer: unknown): HubListing {
  const bad = (what: string) =>
    new HuacayaError('HUB_BAD_ANSWER', `${repo}: ${what}`, {
      hint: 'Check HF_ENDPOINT: is it a Hugging Face hub or a mirror of it?',
    });
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) throw bad('the hub gave no commit for it');
  if (!Array.isArray(siblings)) throw bad('the hub gave no list of its files');
  const names: string[] = [];
  const files = new Map<string, HubFile>();
  for (const item of siblings as Record<string, unknown>[]) {
    const name = item?.rfilename;
    if (typeof name !== 'string' || !isSafeName(name)) {
      throw bad(`the hub listed a file with an unsafe name, ${JSON.stringify(name)}; nothing was downloaded`);
    }
    names.push(name);
    const file = readFileEntry(name, item);
    if (file) files.set(name, file);
  }
  return { sha, names, files };
}

function readFileEntry(name: string, item: Record<string, unknown>): HubFile | undefined {
  const lfs = item.lfs as { sha256?: unknown; size?: unknown } | null | undefined;
  const size = lfs?.size ?? item.size;
  const value = lfs ? lfs.sha256 : item.blobId;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  if (typeof value !== 'string' || !(lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(value)) return undefined;
  return { name, size, hash: { kind: lfs ? 'sha256' : 'git-sha1', value } };
}

/**
 * The files to download, smallest first, so that a repository of the wrong kind is found out before its weights arrive.
 * @throws HuacayaError HUB_UNSUPPORTED when there are no safetensors, HUB_BAD_ANSWER when a wanted file has no hash.
 */
export function chooseFiles(repo: string, listing: HubListing, patterns: readonly string[] = DEFAULT_FILES): HubFile[] {
  const tests = patterns.map(patternTest);
  let wanted = listing.names.filter((name) => tests.some((test) => test.test(name)));
  const weights = wanted.filter((name) => name.endsWith('.safetensors'));
  if (weights.length === 0) throw noSafetensors(repo, listing.names);
  // Some repositories hold the same weights twice, e.g. as consolidated.safetensors.
  const standard = weights.filter((name) => name.startsWith('model'));
  if (standard.length > 0) wanted = wanted.filter((name) => !name.endsWith('.safetensors') || standard.includes(name));
  return wanted
    .map((name) => {
      const file = listing.files.get(name);
      if (file) return file;
      throw new HuacayaError('HUB_BAD_ANSWER', `${repo}: the hub gave no hash and size for ${name}`);
    })
    .sort((a, b) => a.size - b.size);
}

function patternTest(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\?]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '[\\w.-]*')}$`);
}

function noSafetensors(repo: string, names: string[]): HuacayaError {
  const pickled = names.find((name) => /^pytorch_model.*\.bin$/.test(name));
  const gguf = names.find((name) => name.endsWith('.gguf'));
  if (pickled) {
    return new HuacayaError('HUB_UNSUPPORTED', `${repo}: has weights only as ${pickled}, and no safetensors`, {
      hint: 'Look for a copy of the model as safetensors: most have one.',
    });
  }
  if (gguf) {
    return new HuacayaError('HUB_UNSUPPORTED', `${repo}: has GGUF files (e.g. ${gguf}), and no safetensors`, {
      hint: 'Download one of the .gguf files yourself and give its path instead of a name.',
    });
  }
  return new HuacayaError('HUB_UNSUPPORTED', `${repo}: has no weights as safetensors`);
}
