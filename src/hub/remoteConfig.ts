// A model's config.json from the hub, without its weights: enough to say what it would take.
import { HuacayaError } from '../base/index.ts';
import { checkRepo } from './hubFiles.ts';
import { statusError } from './hubStatus.ts';
import { checkEndpoint, type NetworkOptions, readJson, request } from './request.ts';

export interface RemoteConfig extends NetworkOptions {
  /** `org/name`. */
  repo: string;
  endpoint: string;
  token?: string;
  /** No network may be used. */
  offline?: boolean;
}

/** @throws HuacayaError OFFLINE, HUB_UNREACHABLE, HUB_NOT_FOUND, HUB_GATED, HUB_BAD_ANSWER. */
export async function fetchConfig(options: RemoteConfig): Promise<unknown> {
  const { repo, token, offline } = options;
  checkRepo(repo);
  if (offline) {
    throw new HuacayaError('OFFLINE', `${repo}: is not on this machine, and the hub may not be asked`, {
      hint: 'Unset HF_HUB_OFFLINE, or give the path of a config.json.',
    });
  }
  const url = `${checkEndpoint(options.endpoint)}/${repo}/resolve/main/config.json`;
  const answer = await request(url, { ...options, headersMs: options.connectTimeoutMs ?? 20_000 });
  if (answer.status === 200) return readJson(answer, `${repo}/config.json`, 1 << 20);
  answer.discard();
  throw statusError(answer, repo, repo, token !== undefined);
}
