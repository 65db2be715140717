// How the test teacher behaves.
import type { Kind } from './recognise.ts';

/**
 * What goes wrong with one request. `too-many` and `too-many-date`: 429 with Retry-After in seconds or as a date; `error`: 500;
 * `hang`: silence; `stall`: half a body, then silence; `cut`: half a body, then the connection is gone; `reset`: gone at once;
 * `garbage`: 200 with a text that is no JSON; `filter`: an answer stopped by the content filter.
 * After `stall`, `cut` and `filter` the answer has been paid for.
 */
export type Fault =
  | 'too-many'
  | 'too-many-date'
  | 'error'
  | 'hang'
  | 'stall'
  | 'cut'
  | 'reset'
  | 'garbage'
  | 'filter'
  | 'forbidden'
  | 'no-quota'
  | 'redirect'
  | 'html'
  | { status: number; headers?: Record<string, string>; body: unknown };

export interface Asked {
  path: string;
  /** X-Client-Request-Id, or the custom_id of a batch. */
  id: string;
  /** Idempotency-Key, else a hash of the body. */
  key: string;
  /** 1 for the first time that this key comes. */
  attempt: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by tests only.
  body: any;
}

export interface TeacherServerOptions {
  /** Answers depend on this, the prompt, and (unless temperature is 0) the request's id. */
  seed?: number;
  port?: number;
  /** Scales the faults of the texts: broken numbers, cut tails, near-duplicates, refusals; default 1, 0: none. */
  noise?: number;
  /** Probability that a request meets 429, 500, a hang, half a body or a reset; default 0. At most 3 times in a row. */
  faults?: number;
  /** The fault of this very request, before `faults`; undefined: none. */
  fault?: (asked: Asked) => Fault | undefined;
  /** The kind of a prompt, where the text alone does not tell. */
  kind?: (prompt: string) => Kind | undefined;
  /** The whole answer, where the test wants a certain one. */
  answer?: (prompt: string, asked: Asked) => string | undefined;
  /** Bearer token that is asked for. */
  key?: string;
  /** Default: `teacher`. */
  models?: readonly string[];
  /** False: 400 for response_format. */
  structured?: boolean;
  /** True: 400 for max_tokens, as newer models of OpenAI. */
  maxCompletionTokens?: boolean;
  /** Most tokens of prompt and answer together. */
  context?: number;
  /** False: answers without usage numbers. */
  usage?: boolean;
  /** False: the Idempotency-Key is ignored, every answer is paid. */
  idempotent?: boolean;
  /** Answers that are paid before insufficient_quota. */
  quota?: number;
  /** Longest delay of an answer; each is drawn by the seed. */
  latencyMs?: number;
  /** Awaited before every answer, so that a test decides when it comes. */
  gate?: () => Promise<void>;
  /** A random hang ends with a reset after so long; default 300. */
  hangMs?: number;
  /** Retry-After of random 429s, in seconds; default 0. */
  retryAfter?: number;
  /** Times that a batch is looked at before it is done; default 1. */
  batchPolls?: number;
  /** What becomes of one request of a batch; `expire`: it was not reached in time. */
  batchFault?: (customId: string, batch: number) => 'error' | 'expire' | 'lost' | undefined;
  /** The answer to one request of a batch, in place of the teacher's. */
  batchRow?: (customId: string) => { status: number; body: unknown } | undefined;
  /** A whole batch fails its validation. */
  batchFails?: (batch: number) => boolean;
}

export interface TeacherServer {
  /** Base address, with /v1. */
  url: string;
  /** Answers that were paid for, by Idempotency-Key (or custom_id of a batch). */
  paid(): Map<string, number>;
  /** Tokens of all that was paid for, prompts and answers. */
  tokens(): number;
  /** Answers that left the server whole, by the same key. */
  delivered(): Map<string, number>;
  /** Every request to a completion, in order of arrival. */
  asked: Asked[];
  /** All methods and paths, in order of arrival. */
  paths: string[];
  /** Most requests that were open at one time. */
  peak(): number;
  close(): Promise<void>;
}
