// Why a request gave no answer, as far as the page acts differently: ask for a key, wait and try again, or say so.

export type ApiErrorKind =
  /** The server wants a key, and none (or a wrong one) was given. */
  | 'key'
  /** Its queue is full, or it is about to stop: the same request may work later. */
  | 'busy'
  /** No connection, or it broke. */
  | 'lost'
  /** The server refused or failed; its message says why. */
  | 'refused';

export class ApiError extends Error {
  readonly kind: ApiErrorKind;
  /** Seconds after which to try again, where the server said so. */
  readonly retryAfter: number | undefined;
  /** The server's name for it, e.g. 'context_length_exceeded'. */
  readonly code: string | undefined;

  constructor(kind: ApiErrorKind, message: string, details: { retryAfter?: number; code?: string } = {}) {
    super(message);
    this.kind = kind;
    this.retryAfter = details.retryAfter;
    this.code = details.code;
  }
}

/** The server's own words (OpenAI's error shape), or the status where the body is something else. */
export async function errorOf(response: Response): Promise<ApiError> {
  const { status, statusText } = response;
  const body = await response.json().catch(() => undefined);
  const kind = status === 401 ? 'key' : status === 429 || status === 503 ? 'busy' : 'refused';
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const error = errorIn(body, kind) ?? new ApiError(kind, `HTTP ${status} ${statusText}`.trim());
  if (!(seconds >= 0)) return error;
  return new ApiError(kind, error.message, { ...detailsOf(error), retryAfter: Math.min(seconds, longestWait) });
}

/** The error that a body or a chunk of a stream holds, if it does. */
export function errorIn(body: unknown, kind: ApiErrorKind = 'refused'): ApiError | undefined {
  const said = (body as { error?: { message?: unknown; code?: unknown } } | undefined)?.error;
  if (typeof said !== 'object' || said === null) return undefined;
  const message = typeof said.message === 'string' && said.message !== '' ? said.message : 'unknown error';
  return new ApiError(kind, message, typeof said.code === 'string' ? { code: said.code } : {});
}

const longestWait = 120;
const detailsOf = ({ code }: ApiError) => (code === undefined ? {} : { code });
