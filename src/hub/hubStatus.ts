// What a status other than success means on the hub, in words that say what to do.
// Source: the hub's X-Error-Code and X-Error-Message headers; without a token it answers 401 for a repository that does not exist.
import { HuacayaError } from '../base/index.ts';
import type { Reply } from './request.ts';
import { retryAfterMs } from './retryAfter.ts';

/** HUB_BUSY, with the time that the server asked for. */
export class BusyError extends HuacayaError {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, wait?: number) {
    super('HUB_BUSY', message, { hint: 'Try again in a while.' });
    this.retryAfterMs = wait;
  }
}

type Refusal = Pick<Reply, 'status' | 'headers' | 'elsewhere'> & Partial<Pick<Reply, 'asked'>>;

/** @param what the repository or file that was asked for. Codes: HUB_NOT_FOUND, HUB_GATED, HUB_BUSY (may pass), HUB_REFUSED. */
export function statusError(reply: Refusal, repo: string, what: string, hasToken: boolean): HuacayaError {
  const { status } = reply;
  const code = reply.headers.get('x-error-code');
  const said = (reply.headers.get('x-error-message') ?? '').replace(/\p{Cc}/gu, '').slice(0, 300);
  const detail = said ? `: ${said}` : '';
  if (status >= 500 || status === 429 || status === 408) {
    return new BusyError(`${what}: the hub answered ${status}${detail}`, retryAfterMs(reply.headers));
  }
  // The storage behind the hub refuses addresses that have grown old: asking the hub again gives a fresh one.
  if (reply.elsewhere) return new BusyError(`${what}: the hub's storage answered ${status}`);
  if (status === 401 && hasToken && /invalid (credentials|username|token)/i.test(said)) {
    return new HuacayaError('HUB_REFUSED', `${what}: the hub does not know this token (401${detail})`, {
      hint: 'It may have been revoked or cut short: make a new one and set HF_TOKEN.',
    });
  }
  if (code === 'GatedRepo' || status === 403 || (status === 401 && hasToken)) {
    return gatedError(reply, repo, what, hasToken, said);
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

/** Who is let in differs: somebody unknown must log in, an account must accept the terms, and some owners look at every request. */
function gatedError(reply: Refusal, repo: string, what: string, hasToken: boolean, said: string): HuacayaError {
  const origin = reply.asked ? new URL(reply.asked).origin : 'https://huggingface.co';
  const page = `${origin}/${repo}`;
  const refused = (why: string, hint: string) =>
    new HuacayaError('HUB_GATED', `${what}: ${why} (${reply.status}${said ? `: ${said}` : ''})`, { hint });
  if (!hasToken) {
    return refused(
      'is gated, and we are not logged in',
      `Accept the terms at ${page}, make a token at ${origin}/settings/tokens, and set HF_TOKEN to it.`,
    );
  }
  if (/await|pending|under review/i.test(said)) {
    return refused(
      'the request for access waits for its owners',
      `Nothing to do but wait: ${page} shows when they have decided. Then run the command again.`,
    );
  }
  if (/reject/i.test(said)) return refused('the owners refused the request for access', `See ${page}.`);
  if (/fine-grained|token settings/i.test(said)) {
    return refused(
      'the token may not read gated repositories',
      `Allow that for this token at ${origin}/settings/tokens, or set HF_TOKEN to another one.`,
    );
  }
  return refused(
    'the account of this token has not accepted the terms',
    `Accept them at ${page} with the account of HF_TOKEN, then run the command again.`,
  );
}
