// The hub's list of a repository's files, read with suspicion.
// Source: GET /api/models/{repo}/revision/{revision}?blobs=true, https://huggingface.co/docs/hub/api
import { HuacayaError, usageError } from '../base/index.ts';
import type { FileHash } from './hashFile.ts';

export interface HubFile {
  name: string;
  /** Bytes. */
  size: number;
  hash: FileHash;
  /** Of a large file: git's sha1 of the pointer that stands for it. */
  pointer?: string;
}

export interface HubListing {
  /** Commit, 40 hexadecimal digits. */
  sha: string;
  /** Names of all files, also those that are not wanted. */
  names: string[];
  /** Files whose hash and size the hub gave, by name. */
  files: Map<string, HubFile>;
}

/** What a model or an adapter has beside its weights, at the top of the repository. */
export const COMPANIONS: readonly string[] = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'adapter_config.json',
  'LICENSE*',
  'README.md',
];

/** What a LLaMA-family model or an adapter consists of; all at the top of the repository. */
export const DEFAULT_FILES: readonly string[] = [...COMPANIONS, 'model.safetensors.index.json', '*.safetensors'];

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

/** `org/name@revision` in its two parts; neither a name nor a repository has an `@`. */
export function splitRevision(name: string): { name: string; revision?: string } {
  const at = name.indexOf('@');
  return at <= 0 ? { name } : { name: name.slice(0, at), revision: name.slice(at + 1) };
}

/** True for a relative path that stays below its folder on every system. */
export function isSafeName(name: string): boolean {
  if (name === '' || /[\\\p{Cc}]/u.test(name) || /^[A-Za-z]:/.test(name)) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** @throws HuacayaError HUB_BAD_ANSWER when the answer has another shape or a name that could leave the folder. */
export function parseListing(repo: string, answer: unknown): HubListing {
  const { sha, siblings } = (answer ?? {}) as { sha?: unknown; siblings?: unknown };
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) throw bad(repo, 'the hub gave no commit for it');
  if (!Array.isArray(siblings)) throw bad(repo, 'the hub gave no list of its files');
  const names = new Set<string>();
  const files = new Map<string, HubFile>();
  for (const item of siblings as Record<string, unknown>[]) {
    const name = checkName(repo, item?.rfilename);
    names.add(name);
    const lfs = item.lfs as { sha256?: unknown; size?: unknown } | null | undefined;
    const file = lfs
      ? readFile(name, lfs.size ?? item.size, lfs.sha256, item.blobId)
      : readFile(name, item.size, item.blobId);
    if (file) files.set(name, file);
  }
  return { sha, names: [...names], files };
}

/** One page of GET /api/models/{repo}/tree/{sha}?recursive=true. @throws HuacayaError HUB_BAD_ANSWER. */
export function parseTreePage(repo: string, answer: unknown): Map<string, HubFile | undefined> {
  if (!Array.isArray(answer)) throw bad(repo, 'the hub gave no list of its files');
  const files = new Map<string, HubFile | undefined>();
  for (const item of answer as Record<string, unknown>[]) {
    if (item?.type !== 'file') continue;
    const name = checkName(repo, item.path);
    const lfs = item.lfs as { oid?: unknown; size?: unknown } | null | undefined;
    files.set(name, lfs ? readFile(name, lfs.size, lfs.oid, item.oid) : readFile(name, item.size, item.oid));
  }
  return files;
}

function bad(repo: string, what: string): HuacayaError {
  return new HuacayaError('HUB_BAD_ANSWER', `${repo}: ${what}`, {
    hint: 'Check HF_ENDPOINT: is it a Hugging Face hub or a mirror of it?',
  });
}

/** @throws HuacayaError HUB_BAD_ANSWER for a name that could leave the folder. */
export function checkName(repo: string, name: unknown): string {
  if (typeof name === 'string' && isSafeName(name)) return name;
  throw bad(repo, `the hub listed a file with an unsafe name, ${JSON.stringify(name)}; nothing was downloaded`);
}

/** Without `pointer` the hash is git's own; undefined when size or hash are not usable. */
function readFile(name: string, size: unknown, value: unknown, pointer?: unknown): HubFile | undefined {
  const large = pointer !== undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  if (typeof value !== 'string' || !(large ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(value)) return undefined;
  const hash: FileHash = { kind: large ? 'sha256' : 'git-sha1', value };
  return { name, size, hash, ...(isGitHash(pointer) ? { pointer } : {}) };
}

const isGitHash = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{40}$/.test(value);
