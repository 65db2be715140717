// A model's config.json from the hub, without its weights: enough to say what it would take.
import { HuacayaError } from '../base/index.ts';
import { checkRepo, checkRevision, splitRevision } from './hubFiles.ts';
import { fileUrls } from './hubListing.ts';
import { statusError } from './hubStatus.ts';
import { checkEndpoint, type NetworkOptions, readJson, request } from './request.ts';

export interface RemoteConfig extends NetworkOptions {
  /** `org/name`, with `@revision` where one is wanted. */
  repo: string;
  endpoint: string;
  /** Asked in order when the endpoint does not answer. */
  mirrors?: readonly string[];
  token?: string;
  /** No network may be used. */
  offline?: boolean;
  network?: NetworkOptions;
}

/** @throws HuacayaError OFFLINE, HUB_UNREACHABLE, HUB_NOT_FOUND, HUB_GATED, HUB_BAD_ANSWER: of the first address. */
export async function fetchConfig(options: RemoteConfig): Promise<unknown> {
  const { offline, endpoint, mirrors = [] } = options;
  const { name: repo, revision = 'main' } = splitRevision(options.repo);
  checkRepo(repo);
  checkRevision(revision);
  if (offline) {
    throw new HuacayaError('OFFLINE', `${repo}: is not on this machine, and the hub may not be asked`, {
      hint: 'Unset HF_HUB_OFFLINE, or give the path of a config.json.',
    });
  }
  let first: unknown;
  const endpoints = [endpoint, ...mirrors].map(checkEndpoint);
  for (const url of fileUrls(endpoints, repo, encodeURIComponent(revision), 'config.json')) {
    try {
      return await readConfig(url, repo, { ...options.network, ...options });
    } catch (error) {
      first ??= error;
      if (!(error instanceof HuacayaError && error.code.startsWith('HUB_'))) throw error;
    }
  }
  throw first;
}

async function readConfig(url: string, repo: string, options: Omit<RemoteConfig, 'repo'>): Promise<unknown> {
  const answer = await request(url, { ...options, headersMs: options.connectTimeoutMs ?? 20_000 });
  if (answer.status === 200) return readJson(answer, `${repo}/config.json`, 1 << 20);
  answer.discard();
  throw statusError(answer, repo, repo, options.token !== undefined);
}
