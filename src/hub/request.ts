// One GET to the hub: redirects followed by hand so that the token stays at home, and no wait without an end.
import { HuacayaError, usageError } from '../base/index.ts';
import { type Watchdog, watchdog } from './watchdog.ts';

export interface NetworkOptions {
  /** Replaces the global `fetch`, e.g. by one that knows a proxy. */
  fetch?: typeof fetch;
  /** Give up when the first answer has not come after so long. */
  connectTimeoutMs?: number;
  /** Give up on a transfer after so long without a byte; default 30,000. */
  stallMs?: number;
  /** Waits before the second, third, ... try after a passing failure; default 1, 2, 4, 8 s. */
  delaysMs?: readonly number[];
  signal?: AbortSignal;
}

export interface RequestOptions extends NetworkOptions {
  token?: string;
  headers?: Record<string, string>;
  /** Time for the headers to arrive; default `stallMs`. */
  headersMs?: number;
}

export interface Reply {
  status: number;
  headers: Headers;
  /** True when the answer came from another host than the one that was asked. */
  elsewhere: boolean;
  /** The body; the connection is closed when the loop ends, in whatever way. */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
  /** Closes the connection without reading. */
  discard(): void;
}

const MAX_REDIRECTS = 6;

/** An address without a slash at the end. @throws HuacayaError USAGE when it is none. */
export function checkEndpoint(endpoint: string): string {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw usageError(
      `${endpoint}: is not the address of a hub`,
      'Set HF_ENDPOINT to something like https://huggingface.co.',
    );
  }
  return endpoint.replace(/\/+$/, '');
}

/** Failures that may pass when one tries again. */
export function isTransient(error: unknown): boolean {
  return error instanceof HuacayaError && ['HUB_UNREACHABLE', 'HUB_LOST', 'HUB_BUSY'].includes(error.code);
}

/** @throws HuacayaError HUB_UNREACHABLE when no answer comes; any status is an answer. The token is sent to the first host only. */
export async function request(address: string, options: RequestOptions = {}): Promise<Reply> {
  const { token, stallMs = 30_000, signal } = options;
  const headersMs = options.headersMs ?? stallMs;
  // Checked here because fetch would repeat the token in its message.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw usageError(
      'the token for the hub has characters that no token has',
      'Check HF_TOKEN for spaces and line ends.',
    );
  }
  const watch = watchdog(signal);
  const first = new URL(address);
  let url = first;
  let authorized = token !== undefined;
  try {
    for (let hops = 0; ; hops++) {
      watch.arm(headersMs, () => unreachable(url, `no answer in ${seconds(headersMs)}`));
      const response = await (options.fetch ?? fetch)(url.href, {
        redirect: 'manual',
        signal: watch.signal,
        headers: {
          // Compressed on the way, sizes and ranges would count other bytes than the file's.
          'accept-encoding': 'identity',
          'user-agent': 'huacaya',
          ...options.headers,
          ...(authorized ? { authorization: `Bearer ${token}` } : {}),
        },
      });
      watch.disarm();
      const location = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get('location') : null;
      if (location === null) return reply(response, url, url.origin !== first.origin, stallMs, watch);
      await response.body?.cancel();
      if (hops === MAX_REDIRECTS) throw unreachable(first, `more than ${MAX_REDIRECTS} redirects`);
      const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      if (!next || !/^https?:$/.test(next.protocol))
        throw unreachable(first, 'it redirects to something that is not a web address');
      // Once gone, never back: a host that redirects home again may have chosen the path.
      if (next.origin !== first.origin) authorized = false;
      url = next;
    }
  } catch (error) {
    watch.stop();
    throw explain(error, watch.signal, signal, (why) => unreachable(url, why));
  }
}

function reply(response: Response, url: URL, elsewhere: boolean, stallMs: number, watch: Watchdog): Reply {
  return {
    status: response.status,
    headers: response.headers,
    elsewhere,
    discard: () => watch.stop(),
    async *chunks() {
      const reader = response.body?.getReader();
      try {
        while (reader) {
          // Armed only while we wait for the network: a slow disk is no stall.
          watch.arm(stallMs, () => lost(url, `no byte in ${seconds(stallMs)}`));
          const { done, value } = await reader.read();
          watch.disarm();
          if (done) return;
          yield value;
        }
      } catch (error) {
        throw explain(error, watch.signal, watch.outer, (why) => lost(url, why));
      } finally {
        watch.stop();
      }
    },
  };
}

/** Reads a small answer. @throws HuacayaError HUB_BAD_ANSWER when it is longer than `limit` bytes or not JSON. */
export async function readJson(answer: Reply, what: string, limit = 16 << 20): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of answer.chunks()) {
    length += piece.length;
    if (length > limit) throw new HuacayaError('HUB_BAD_ANSWER', `${what}: the answer is longer than ${limit} bytes`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch (cause) {
    throw new HuacayaError('HUB_BAD_ANSWER', `${what}: the answer is not JSON`, {
      hint: 'Check HF_ENDPOINT; a login page of the network in between gives such answers too.',
      cause,
    });
  }
}

/** What really happened: the user's interruption, our own deadline, or the reason under undici's "fetch failed". */
function explain(
  error: unknown,
  signal: AbortSignal,
  outer: AbortSignal | undefined,
  wrap: (why: string) => HuacayaError,
): unknown {
  if (outer?.aborted) return outer.reason;
  if (error instanceof HuacayaError) return error;
  if (signal.aborted && signal.reason instanceof HuacayaError) return signal.reason;
  const cause = (error as Error)?.cause as (Error & { code?: string }) | undefined;
  return wrap(cause?.code ?? (cause?.message || (error as Error)?.message || String(error)));
}

// Only the host is named: the path of a redirect carries a signature.
function unreachable(url: URL, why: string): HuacayaError {
  return new HuacayaError('HUB_UNREACHABLE', `${url.origin} could not be reached (${why})`, {
    hint: 'Check the network, set HF_ENDPOINT to a mirror, or give the path of a model that is on this machine.',
  });
}

function lost(url: URL, why: string): HuacayaError {
  return new HuacayaError('HUB_LOST', `${url.origin}: the connection was lost (${why})`, {
    hint: 'Run the command again: it goes on where it stopped.',
  });
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
