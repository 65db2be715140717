// One request to an endpoint and its whole answer. Redirects are not followed, so that keys stay where they belong.
import { patientFetch } from './patientFetch.ts';

export interface Call {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  /** Until the first byte of the answer. */
  timeoutMs: number;
  /** Between bytes of the body. */
  stallMs: number;
  fetch?: typeof fetch | undefined;
  signal?: AbortSignal | undefined;
  /** Takes the body of a success instead of `text`, piece by piece. */
  sink?: ((chunk: Uint8Array) => Promise<void>) | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** No answer, or half of one. */
export class NetworkFailure extends Error {
  /** Short, e.g. ECONNREFUSED. */
  readonly reason: string;
  /** False where the request cannot have reached the server: it cost nothing. */
  readonly sent: boolean;

  constructor(reason: string, sent: boolean, cause?: unknown) {
    super(reason, { cause });
    this.name = 'NetworkFailure';
    this.reason = reason;
    this.sent = sent;
  }
}

const NOT_SENT =
  /^(ENOTFOUND|EAI_AGAIN|EAI_FAIL|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|bad port)/;

const LONGEST_TEXT = 64 << 20;

const plainFetch = patientFetch();

/** @throws NetworkFailure, or the reason of `signal`. Any status is an answer. */
export async function exchange(call: Call): Promise<HttpAnswer> {
  const control = new AbortController();
  // By hand: AbortSignal.any leaves something behind with each call on a signal that lives long.
  const stop = () => control.abort(call.signal?.reason);
  call.signal?.throwIfAborted();
  call.signal?.addEventListener('abort', stop, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const deadline = (ms: number, reason: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => control.abort(new NetworkFailure(reason, true)), ms);
  };
  try {
    deadline(call.timeoutMs, `no answer in ${call.timeoutMs / 1000} s`);
    const response = await (call.fetch ?? plainFetch)(call.url, {
      method: call.method,
      headers: { 'user-agent': 'huacaya', ...call.headers },
      ...(call.body === undefined ? {} : { body: call.body }),
      redirect: 'manual',
      signal: control.signal,
    });
    const sink = response.ok ? call.sink : undefined;
    const text = await readBody(response, sink, (waiting) => {
      if (waiting) deadline(call.stallMs, `no byte in ${call.stallMs / 1000} s`);
      else clearTimeout(timer);
    });
    return { status: response.status, headers: response.headers, text };
  } catch (error) {
    if (call.signal?.aborted) throw call.signal.reason;
    throw explain(control.signal.aborted ? control.signal.reason : error);
  } finally {
    clearTimeout(timer);
    call.signal?.removeEventListener('abort', stop);
    // Ends a body that was not read to its end.
    control.abort();
  }
}

/** @param onWait true while we wait for the network: a slow disk is no stall. */
async function readBody(
  response: Response,
  sink: ((chunk: Uint8Array) => Promise<void>) | undefined,
  onWait: (waiting: boolean) => void,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (;;) {
    onWait(true);
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    onWait(false);
    if (done || !value) return Buffer.concat(chunks).toString('utf8');
    if (sink) await sink(value);
    else chunks.push(value);
    length += value.length;
    if (!sink && length > LONGEST_TEXT) throw new NetworkFailure(`an answer of more than ${LONGEST_TEXT} bytes`, true);
  }
}

/** The reason under fetch's "fetch failed" and "terminated". */
function explain(error: unknown): NetworkFailure {
  if (error instanceof NetworkFailure) return error;
  let cause = error as Error & { code?: string; errors?: unknown[] };
  while (cause?.cause instanceof Error) cause = cause.cause as typeof cause;
  // Several addresses of one host were tried.
  if (!cause?.code && cause?.errors?.[0] instanceof Error) cause = cause.errors[0] as typeof cause;
  const reason = cause?.code ?? cause?.message ?? String(error);
  return new NetworkFailure(
    reason === 'UND_ERR_SOCKET' ? 'the connection ended' : reason,
    !NOT_SENT.test(reason),
    error,
  );
}
