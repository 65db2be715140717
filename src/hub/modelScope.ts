// ModelScope as a second source: its list of files and their addresses, in the shape of the hub's.
// Source: the public API as the `modelscope` Python package uses it (hub/api.py, hub/constants.py). Written from knowledge
// of that package and tested against a server of our own with the same shapes; the service itself was out of reach.
import { createHash } from 'node:crypto';
import { HuacayaError } from '../base/index.ts';
import { checkName, type HubFile, type HubListing } from './hubFiles.ts';
import { statusError } from './hubStatus.ts';
import { checkEndpoint, type NetworkOptions, readJson, request } from './request.ts';

export const MODELSCOPE_ENDPOINT = 'https://www.modelscope.cn';
/** What ModelScope calls the main branch. */
export const MODELSCOPE_BRANCH = 'master';

export interface ModelScopeOptions extends NetworkOptions {
  endpoint: string;
  repo: string;
  /** Branch or tag; default `master`. */
  revision?: string;
}

/**
 * The files of a model at ModelScope. There is no commit for all of them, so `sha` is made of their names and hashes: the
 * same files always give the same one.
 * @throws HuacayaError HUB_UNREACHABLE, HUB_NOT_FOUND, HUB_BAD_ANSWER.
 */
export async function listModelScope(options: ModelScopeOptions): Promise<HubListing> {
  const { repo, revision = MODELSCOPE_BRANCH } = options;
  const url = `${checkEndpoint(options.endpoint)}/api/v1/models/${repo}/repo/files?Revision=${encodeURIComponent(revision)}&Recursive=true`;
  const answer = await request(url, { ...options, headersMs: options.connectTimeoutMs ?? 20_000 });
  if (answer.status !== 200) {
    answer.discard();
    throw statusError(answer, repo, `${repo} at ModelScope`, false);
  }
  return parseModelScope(repo, await readJson(answer, repo));
}

/** @throws HuacayaError HUB_BAD_ANSWER for another shape, HUB_NOT_FOUND when the answer says so. */
export function parseModelScope(repo: string, answer: unknown): HubListing {
  const { Code, Message, Success, Data } = (answer ?? {}) as Record<string, unknown>;
  if (Success === false || (typeof Code === 'number' && Code !== 200)) {
    const said = String(Message ?? Code)
      .replace(/\p{Cc}/gu, '')
      .slice(0, 300);
    throw new HuacayaError('HUB_NOT_FOUND', `${repo}: ModelScope answered: ${said}`);
  }
  const list = (Data as { Files?: unknown } | undefined)?.Files;
  if (!Array.isArray(list)) throw new HuacayaError('HUB_BAD_ANSWER', `${repo}: ModelScope gave no list of its files`);
  const names = new Set<string>();
  const files = new Map<string, HubFile>();
  for (const item of list as Record<string, unknown>[]) {
    if (item?.Type !== 'blob') continue;
    const name = checkName(repo, item.Path);
    names.add(name);
    const { Size: size, Sha256: value } = item;
    const good = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
    if (!good || typeof value !== 'string' || !/^[0-9a-f]{64}$/i.test(value)) continue;
    files.set(name, { name, size, hash: { kind: 'sha256', value: value.toLowerCase() } });
  }
  const lines = [...files.values()].map((file) => `${file.hash.value} ${file.size} ${file.name}`).sort();
  return { sha: createHash('sha1').update(lines.join('\n')).digest('hex'), names: [...names], files };
}

/** The address of one file. */
export function modelScopeUrl(endpoint: string, repo: string, revision: string, name: string): string {
  const path = name.split('/').map(encodeURIComponent).join('/');
  return `${checkEndpoint(endpoint)}/models/${repo}/resolve/${encodeURIComponent(revision)}/${path}`;
}
