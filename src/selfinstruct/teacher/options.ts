// What a teacher is made of: endpoints, a budget, a folder for the journal, and how patient it is.
import { type ProxySettings, usageError } from '../../base/index.ts';

export interface TeacherEndpoint {
  /** Base address, e.g. `https://api.openai.com/v1`; requests go to `chat/completions` or `completions` below it. */
  url: string;
  model: string;
  /** Default `chat`. */
  api?: 'chat' | 'completions';
  /** Sent as a bearer token to this address only; never logged, never in the journal. */
  apiKey?: string;
  /** OpenAI-Organization and OpenAI-Project headers. */
  organization?: string;
  project?: string;
  headers?: Readonly<Record<string, string>>;
  /** Added to the body of every request as it is, e.g. `{ reasoning_effort: 'low' }`. */
  extraBody?: Readonly<Record<string, unknown>>;
  /** Share of the requests; default 1. Where all are equal, a faster endpoint takes more. */
  weight?: number;
  /** Requests under way at a time; default 4. */
  concurrency?: number;
  /** Time until the answer's first byte, which without streaming is the time of the whole answer; default 600,000. */
  timeoutMs?: number;
  /** Whether `response_format: json_schema` is sent where a request has a schema. `auto` (default): until it is refused once. */
  structured?: 'auto' | boolean;
  /** Per million tokens. Default: no cost. */
  price?: { input: number; output: number };
  /**
   * True where the server pays heed to `Idempotency-Key`. Elsewhere an answer that was lost on its way counts in the budget with
   * its maximum, beside the answer that came in the end, because it may have been paid for.
   */
  idempotent?: boolean;
  /** How it is called in messages and in the journal; default: host and model. */
  name?: string;
}

export interface TeacherBudget {
  /** Prompt and answer tokens together. */
  tokens?: number;
  /** In the currency of the prices. */
  cost?: number;
}

/** What happens on the way; for a panel or a log. Reasons are one line and free of secrets. */
export type TeacherEvent =
  | { type: 'asked'; id: string; endpoint: string }
  | { type: 'answered'; id: string; endpoint: string; ms: number }
  /** The endpoint answers others, but not this one (a 400, a prompt that is too long): it counts as answered with an empty text. */
  | { type: 'refused'; id: string; endpoint: string; reason: string }
  | { type: 'retry'; id: string; endpoint: string; reason: string; waitMs: number }
  /** The endpoint gets no requests for a while, or (no `waitMs`) any more. */
  | { type: 'paused'; endpoint: string; reason: string; waitMs?: number }
  /** The endpoint does not know something that others do; it is asked without from now on. */
  | { type: 'adapted'; endpoint: string; what: string }
  /** The endpoint does not say what it used: counted by bytes, which is more than it was. */
  | { type: 'usage-missing'; endpoint: string };

export interface TeacherPatience {
  /** Failed tries of one request before it is given up; default 8. Being told to wait (429) counts a tenth. */
  tries?: number;
  /** First wait after a failure, doubled each time; default 1,000. */
  firstWaitMs?: number;
  /** Longest wait between tries; default 60,000. */
  longestWaitMs?: number;
  /** An endpoint that asks for more than this is given up; default 15 minutes. */
  longestPauseMs?: number;
  /** Give up on a body after so long without a byte; default 60,000. */
  stallMs?: number;
  /** Failures in a row after which an endpoint rests; default 5. */
  breakAfter?: number;
  /** How long it rests at first, doubled each time up to 4 times as long; default 15,000. */
  restMs?: number;
  /** How long `close` waits for answers that are under way; default 30,000. */
  closeMs?: number;
}

export interface TeacherOptions {
  endpoints: readonly TeacherEndpoint[];
  /** The run's folder: holds `journal.jsonl` and its lock. Made if it is not there. */
  folder: string;
  budget?: TeacherBudget;
  patience?: TeacherPatience;
  proxy?: ProxySettings;
  /** Replaces the built-in client and its proxies. It should have no timeouts of its own. */
  fetch?: typeof fetch;
  onEvent?: (event: TeacherEvent) => void;
}

export type Patience = Required<TeacherPatience>;

export function withDefaults(patience: TeacherPatience = {}): Patience {
  return {
    tries: 8,
    firstWaitMs: 1000,
    longestWaitMs: 60_000,
    longestPauseMs: 15 * 60_000,
    stallMs: 60_000,
    breakAfter: 5,
    restMs: 15_000,
    closeMs: 30_000,
    ...patience,
  };
}

/** @throws HuacayaError USAGE for addresses, keys, weights and budgets that cannot be meant. */
export function checkOptions({ endpoints, budget }: Pick<TeacherOptions, 'endpoints' | 'budget'>): void {
  if (endpoints.length === 0) throw usageError('no teacher: no endpoint is given');
  for (const endpoint of endpoints) {
    const { url, model, apiKey, weight = 1, concurrency = 4, price } = endpoint;
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw usageError(`${url}: is not the address of a teacher`, 'Write it like https://api.openai.com/v1.');
    }
    if (/\/(chat\/)?completions\/*$/.test(new URL(url).pathname)) {
      const base = url.replace(/\/(chat\/)?completions\/*$/, '');
      throw usageError(`${url}: is one service of a teacher`, `Write the base address: ${base}.`);
    }
    if (!model) throw usageError(`${url}: no model is given`);
    // Checked here because fetch would repeat the key in its message.
    if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
      throw usageError(
        `the API key for ${url} has characters that no key has`,
        'Check the variable that holds it for spaces and line ends.',
      );
    }
    if (!(weight > 0 && Number.isFinite(weight))) throw usageError(`${url}: weight must be a number above 0`);
    if (!(Number.isInteger(concurrency) && concurrency > 0)) {
      throw usageError(`${url}: concurrency must be a whole number above 0`);
    }
    if (price && !(price.input >= 0 && price.output >= 0)) throw usageError(`${url}: prices must not be below 0`);
    if (budget?.cost !== undefined && !price) {
      throw usageError(
        `the budget is in money, but ${url} has no prices`,
        'Give the price of a million input and output tokens; a local teacher costs 0.',
      );
    }
  }
  for (const [name, value] of Object.entries(budget ?? {})) {
    if (value !== undefined && !(value >= 0)) throw usageError(`budget: ${name} must not be below 0`);
  }
}
