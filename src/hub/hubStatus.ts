// What a status other than success means on the hub, in words that say what to do.
// Source: the hub's X-Error-Code and X-Error-Message headers; without a token it answers 401 for a repository that does not exist.
import { HuacayaError } from '../base/index.ts';
import type { Reply } from './request.ts';

/** @param what the repository or file that was asked for. Codes: HUB_NOT_FOUND, HUB_GATED, HUB_BUSY (may pass), HUB_REFUSED. */
export function statusError(
  reply: Pick<Reply, 'status' | 'headers' | 'elsewhere'>,
  repo: string,
  what: string,
  hasToken: boolean,
) {
  const { status } = reply;
  const code = reply.headers.get('x-error-code');
  const said = (reply.headers.get('x-error-message') ?? '').replace(/\p{Cc}/gu, '').slice(0, 300);
  const detail = said ? `: ${said}` : '';
  if (status >= 500 || status === 429 || status === 408) {
    return new HuacayaError('HUB_BUSY', `${what}: the hub answered ${status}${detail}`, {
      hint: 'Try again in a while.',
    });
  }
  // The storage behind the hub refuses addresses that have grown old: asking the hub again gives a fresh one.
  if (reply.elsewhere) return new HuacayaError('HUB_BUSY', `${what}: the hub's storage answered ${status}`);
  if (code === 'GatedRepo' || status === 403 || (status === 401 && hasToken)) {
    return new HuacayaError('HUB_GATED', `${what}: the hub does not let this account read it (${status}${detail})`, {
      hint: `Accept the terms on the page of ${repo}, and set HF_TOKEN to a token of that account.`,
    });
  }
  if (code === 'RevisionNotFound') return new HuacayaError('HUB_NOT_FOUND', `${what}: no such revision on the hub`);
  if (code === 'EntryNotFound') return new HuacayaError('HUB_NOT_FOUND', `${what}: no such file on the hub`);
  if (status === 401 || status === 404) {
    return new HuacayaError('HUB_NOT_FOUND', `${what}: the hub has no such repository, or it is private (${status})`, {
      hint: 'Check the spelling; for a private or gated repository set HF_TOKEN.',
    });
  }
  return new HuacayaError('HUB_REFUSED', `${what}: the hub answered ${status}${detail}`);
}
