// What an answer of an endpoint means: an answer, something to try again, or the end of it.
import type { HuacayaError } from '../../base/index.ts';
import {
  badAnswerError,
  busyError,
  failingError,
  forbiddenError,
  keyError,
  quotaError,
  redirectError,
  refusedError,
} from './errors.ts';
import type { HttpAnswer } from './exchange.ts';
import { promptBound } from './money.ts';
import { emptyAnswer, type ReadAnswer, readAnswer } from './readAnswer.ts';
import type { Learned } from './requestBody.ts';
import type { Station } from './station.ts';
import type { TeacherRequest } from './types.ts';
import { askedWait } from './waits.ts';

export type Outcome =
  | { kind: 'answer'; answer: ReadAnswer }
  | {
      kind: 'again';
      error: HuacayaError;
      /** What the server said, for another error. */
      said: string;
      /** The endpoint is well and says when. */
      busy: boolean;
      waitMs?: number | undefined;
      /** The server may have done the work. */
      maybePaid: boolean;
    }
  /** The same without something that the endpoint does not know. */
  | { kind: 'adapt'; what: string; apply: (learned: Learned) => void }
  | { kind: 'shorter'; said: string }
  /** No request will ever work there. */
  | { kind: 'dead'; error: HuacayaError }
  /** No such model or no such place: to be looked into. */
  | { kind: 'not-found'; said: string; model: boolean }
  /** This request will never work. */
  | { kind: 'refused'; error: HuacayaError };

interface ServerError {
  message: string;
  code: string;
  param: string;
}

/** @param body what was sent. */
export function judge(
  answer: HttpAnswer,
  request: TeacherRequest,
  body: Record<string, unknown>,
  station: Station,
): Outcome {
  const { status, headers } = answer;
  const json = parse(answer.text);
  const error = errorOf(json);
  const said = error?.message ? `: ${clean(error.message, station)}` : '';
  if (status >= 300 && status < 400) return { kind: 'dead', error: redirectError(station, headers.get('location')) };
  if (status >= 200 && status < 300) return success(json, request, station, said);
  const { code = '' } = error ?? {};
  if (status === 401) return { kind: 'dead', error: keyError(station, said) };
  if (status === 402 || /insufficient_quota|billing_(hard_limit|not_active)/.test(code)) {
    return { kind: 'dead', error: quotaError(station, status, said) };
  }
  if (/content_?(filter|policy)/i.test(code) || (status === 403 && /flagged|moderation/i.test(said))) {
    return { kind: 'answer', answer: emptyAnswer(station.endpoint.model) };
  }
  if (status === 403) {
    const kind = station.worked ? 'refused' : 'dead';
    return { kind, error: forbiddenError(station, said) };
  }
  if (status === 404 || status === 405) {
    const model = code === 'model_not_found' || (error !== undefined && /model/i.test(error.message));
    return { kind: 'not-found', said: `${status}${said}`, model };
  }
  if (status === 429) {
    const waitMs = askedWait(headers);
    return { kind: 'again', error: busyError(station, said), said, busy: true, waitMs, maybePaid: false };
  }
  if (status >= 500 || status === 408 || status === 409 || status === 425) {
    // A gateway that lost patience cannot know what the server behind it did.
    const maybePaid = status === 502 || status === 504 || status >= 520;
    return {
      kind: 'again',
      error: failingError(station, status, said),
      said,
      busy: false,
      waitMs: askedWait(headers),
      maybePaid,
    };
  }
  if (isTooLong(error, answer.text)) return { kind: 'shorter', said };
  return (
    adaptation(error, body, station) ?? { kind: 'refused', error: refusedError(station, request.id, status, said) }
  );
}

function success(json: unknown, request: TeacherRequest, station: Station, said: string): Outcome {
  const { endpoint, price } = station;
  const asked = { sampling: request.sampling, promptBound: promptBound(request) };
  const answer = readAnswer(json, asked, endpoint.model, price);
  if (answer) return { kind: 'answer', answer };
  const error = badAnswerError(station, said);
  // From a place that never gave an answer: a login page, or another kind of server.
  if (!station.worked && json === undefined) return { kind: 'dead', error };
  return { kind: 'again', error, said, busy: false, maybePaid: true };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `{ error: { message, code, param } }`, `{ error: "..." }` (Ollama), `{ message, code }` and `{ detail }` (older vLLM). */
export function errorOf(json: unknown): ServerError | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const whole = json as Record<string, unknown>;
  const error = (whole.error ?? whole) as Record<string, unknown> | string;
  if (typeof error === 'string') return { message: error, code: '', param: '' };
  const message = error.message ?? error.detail;
  if (message === undefined) return undefined;
  return {
    message: typeof message === 'string' ? message : JSON.stringify(message),
    code: [error.code, error.type].filter((part) => typeof part === 'string').join(' '),
    param: typeof error.param === 'string' ? error.param : '',
  };
}

/** One line, without the key that some servers repeat. */
export function clean(text: string, { endpoint }: Station): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return (endpoint.apiKey ? line.replaceAll(endpoint.apiKey, '***') : line).slice(0, 300);
}

function isTooLong(error: ServerError | undefined, text: string): boolean {
  if (error?.code.includes('context_length_exceeded')) return true;
  return /maximum context length|reduce (your prompt|the length)|exceeds? (the )?(available |model'?s? |maximum )*context|maximum model length|(prompt|input) is too long/i.test(
    error?.message ?? text.slice(0, 2000),
  );
}

const OPTIONAL = ['temperature', 'top_p', 'stop', 'presence_penalty', 'frequency_penalty', 'logit_bias'];

/** What a 400 says the endpoint does not know, where one can do without. */
function adaptation(
  error: ServerError | undefined,
  body: Record<string, unknown>,
  { endpoint }: Station,
): Outcome | undefined {
  if (!error) return undefined;
  const { message, param, code } = error;
  const text = `${param} ${message}`;
  if (
    body.response_format &&
    endpoint.structured !== true &&
    /response_format|json_schema|structured|grammar/i.test(text)
  ) {
    return adapt('response_format', (learned) => {
      learned.structured = false;
    });
  }
  if (body.max_tokens !== undefined && message.includes('max_completion_tokens')) {
    return adapt('max_tokens (it takes max_completion_tokens)', (learned) => {
      learned.newLimit = true;
    });
  }
  const unknown = /unsupported|not support|unrecognized|unknown|not permitted|extra (inputs|fields)/i.test(
    `${code} ${message}`,
  );
  const name = OPTIONAL.find((key) => body[key] !== undefined && new RegExp(`\\b${key}\\b`).test(param || message));
  if (name === undefined || !(unknown || name === 'logit_bias')) return undefined;
  return adapt(name, (learned) => {
    learned.without.add(name);
  });
}

const adapt = (what: string, apply: (learned: Learned) => void): Outcome => ({ kind: 'adapt', what, apply });
