// One GET to the hub: redirects followed by hand so that the token stays at home, and no wait without an end.
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { HuacayaError, type ProxySettings, usageError } from '../base/index.ts';
import { explain, lost, unreachable } from './networkErrors.ts';
import { dispatcherFor, proxyFor } from './proxy.ts';
import { type Watchdog, watchdog } from './watchdog.ts';

export { isTransient } from './networkErrors.ts';

export interface NetworkOptions {
  /** Replaces the network, for tests. */
  fetch?: typeof fetch;
  /** From HTTP_PROXY, HTTPS_PROXY and NO_PROXY; without it every host is reached directly. */
  proxy?: ProxySettings;
  /** Give up when the first answer has not come after so long. */
  connectTimeoutMs?: number;
  /** Give up on a transfer after so long without a byte; default 30,000. */
  stallMs?: number;
  /** Waits before the second, third, ... try after a passing failure; default 1, 2, 4, 8 s, and for files 15 and 30 s more. */
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
  /** The address that was asked. */
  asked: string;
  /** The address that answered, after redirects. It may carry a signature: not for messages. */
  url: string;
  /** True when the answer came from another host than the one that was asked. */
  elsewhere: boolean;
  /** The body, with its content-encoding undone; the connection is closed when the loop ends, in whatever way. */
  chunks(): AsyncGenerator<Uint8Array, void, void>;
  /** Closes the connection without reading. */
  discard(): void;
}

/** What both kinds of network, undici and a test's `fetch`, come down to. */
interface Answer {
  status: number;
  headers: Headers;
  body(): AsyncIterable<Uint8Array> | null;
  cancel(): void;
  /** Reads the few words that come with a redirect, so that the connection can be used again. */
  skip(): Promise<void>;
}

const SKIPPED_BYTES = 1 << 16;

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

/** @throws HuacayaError HUB_UNREACHABLE, HUB_CERTIFICATE, HUB_PROXY when no answer comes; any status is an answer. The token is sent to the first host only. */
export async function request(address: string, options: RequestOptions = {}): Promise<Reply> {
  const { token, stallMs = 30_000, signal } = options;
  const headersMs = options.headersMs ?? stallMs;
  // Checked here because the network's own error would repeat the token.
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
      const answer = await send(url, options, watch.signal, {
        // Compressed on the way, sizes and ranges would count other bytes than the file's.
        'accept-encoding': 'identity',
        'user-agent': 'huacaya',
        ...options.headers,
        ...(authorized ? { authorization: `Bearer ${token}` } : {}),
      });
      const location = [301, 302, 303, 307, 308].includes(answer.status) ? answer.headers.get('location') : null;
      if (location === null) {
        watch.disarm();
        return reply(answer, first, url, stallMs, watch);
      }
      await answer.skip();
      watch.disarm();
      if (hops === MAX_REDIRECTS) throw unreachable(first, `more than ${MAX_REDIRECTS} redirects`);
      const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      if (!next || !/^https?:$/.test(next.protocol))
        throw unreachable(first, 'it redirects to something that is not a web address');
      // Once gone, never back: a host that redirects home again may have chosen the path.
      if (next.origin !== first.origin) authorized = false;
      url = next;
    }
  } catch (error) {
    const wrap: typeof unreachable = (at, why, cause) => {
      const proxy = options.fetch ? undefined : proxyFor(at, options.proxy);
      // It may be the proxy that does not answer. Its host only: the address has a password.
      return unreachable(at, proxy ? `through the proxy ${new URL(proxy).host}: ${why}` : why, cause);
    };
    const why = explain(error, url, { inner: watch.signal, outer: signal }, wrap);
    watch.stop();
    throw why;
  }
}

async function send(
  url: URL,
  options: RequestOptions,
  signal: AbortSignal,
  headers: Record<string, string>,
): Promise<Answer> {
  if (options.fetch) {
    const response = await options.fetch(url.href, { redirect: 'manual', signal, headers });
    const { status, body } = response;
    // A real `fetch` undoes the encoding itself and leaves the header.
    const skip = async () => body?.cancel().catch(() => {});
    return { status, headers: response.headers, body: () => body, cancel: () => void skip(), skip };
  }
  const dispatcher = await dispatcherFor(url, options.proxy);
  // Our own clock watches over the answer.
  const limits = { headersTimeout: 0, bodyTimeout: 0 };
  const { request } = await import('undici');
  const { statusCode, headers: raw, body } = await request(url, { headers, signal, dispatcher, ...limits });
  const answered = new Headers();
  for (const [name, value] of Object.entries(raw)) {
    for (const one of [value ?? []].flat()) answered.append(name, one);
  }
  // Not read to its end: a server may send a page of any length with a redirect.
  const cancel = () => void body.on('error', () => {}).destroy();
  const skip = () => body.dump({ limit: SKIPPED_BYTES, signal });
  const encoding = answered.get('content-encoding');
  return { status: statusCode, headers: answered, body: () => decoded(body, encoding), cancel, skip };
}

/** Servers and proxies exist that compress although they were asked not to. */
function decoded(body: Readable, encoding: string | null): AsyncIterable<Uint8Array> {
  const kind = encoding?.trim().toLowerCase();
  const decoder =
    kind === 'gzip' || kind === 'x-gzip'
      ? createGunzip()
      : kind === 'deflate'
        ? createInflate()
        : kind === 'br'
          ? createBrotliDecompress()
          : undefined;
  if (!decoder) return body;
  body.on('error', (error) => decoder.destroy(error));
  decoder.on('close', () => body.destroy());
  return body.pipe(decoder);
}

function reply(answer: Answer, first: URL, url: URL, stallMs: number, watch: Watchdog): Reply {
  return {
    status: answer.status,
    headers: answer.headers,
    asked: first.href,
    url: url.href,
    elsewhere: url.origin !== first.origin,
    discard: () => {
      answer.cancel();
      watch.stop();
    },
    async *chunks() {
      try {
        const pieces = answer.body()?.[Symbol.asyncIterator]();
        try {
          while (pieces) {
            // Armed only while we wait for the network: a slow disk is no stall.
            watch.arm(stallMs, () => lost(url, `no byte in ${seconds(stallMs)}`));
            const { done, value } = await pieces.next();
            watch.disarm();
            if (done) return;
            yield value;
          }
        } finally {
          await pieces?.return?.();
        }
      } catch (error) {
        throw explain(error, url, { inner: watch.signal, outer: watch.outer }, lost);
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

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
