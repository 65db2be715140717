// What a caller asks of generation, and what comes back. Every way to generate (terminal, server, library) speaks this.
import type { BeamOptions } from './beamOptions.ts';
import type { TokenConstraint } from './constraint.ts';
import type { SamplingOptions } from './sampling.ts';

export interface GenerationRequest {
  promptIds: readonly number[];
  maxNewTokens: number;
  sampling: SamplingOptions;
  /** Texts at which the answer ends; they are not part of it. */
  stop?: readonly string[];
  /** Tokens at which it ends, besides those that end every reply of the model; they give no text. */
  stopIds?: readonly number[];
  /** The end-of-reply tokens do not end it (benchmarks, fixed lengths). */
  ignoreEos?: boolean;
  /** Name of an adapter of the generator; absent: the base model. */
  adapter?: string;
  /** Factor on the adapter's own scale (lora_alpha / r); default 1, 0 is the base model. */
  adapterScale?: number;
  /** Report the log-probability of each token, and of so many of the most probable ones (0 to 20). */
  topLogprobs?: number;
  /** Only what it allows may be generated (e.g. JSON of a schema). */
  constraint?: TokenConstraint;
  /** Beam search instead of sampling: the answer comes in one piece. */
  beam?: BeamOptions;
  /** false: no guessing ahead (`promptLookup.ts`), which changes the speed only. */
  speculate?: boolean;
  /** Aborted: the request ends within one token. */
  signal?: AbortSignal;
}

/** Natural logarithms, of the model's own distribution: before temperature, penalties and filters. */
export interface TokenLogprob {
  id: number;
  logprob: number;
  top: readonly { id: number; logprob: number }[];
}

/** What has become certain: whole characters, and nothing that may turn out to be the start of a stop string. */
export interface Piece {
  /** May be '' when only tokens or log-probabilities are reported. */
  text: string;
  /** Tokens since the last piece. */
  ids: readonly number[];
  /** One for each of `ids` when asked for. */
  logprobs?: readonly TokenLogprob[];
}

export type FinishReason = 'eos' | 'stop' | 'length' | 'aborted';

export interface Generated {
  text: string;
  /** New tokens, the end token included. */
  ids: number[];
  finish: FinishReason;
  /** The stop string that was met. */
  stopString?: string;
  logprobs?: TokenLogprob[];
  promptTokens: number;
  /** Of them, tokens whose keys and values were still there from an earlier request. */
  cachedTokens: number;
  /** From the request to its start: how long others were served first. */
  queueSeconds: number;
  /** From the start to the first token. */
  prefillSeconds: number;
  /** From the first token to the end. */
  decodeSeconds: number;
}

/**
 * A model with its adapters, ready to serve several requests at once. Requests are independent: any number may be started,
 * those beyond `info.slots` wait their turn in order.
 */
export interface TextGenerator {
  readonly info: {
    vocabSize: number;
    /** Most tokens of prompt and answer together. */
    positions: number;
    /** Requests that run at the same time. */
    slots: number;
    precision: string;
  };
  /**
   * Yields pieces as they become certain, returns the whole. Leaving the loop early (`return()`) ends the request.
   * @throws HuacayaError USAGE for contradicting or impossible options, UNKNOWN_ADAPTER, TOO_LONG when prompt and answer
   *   need more than `positions` tokens, TOKEN_RANGE, ENGINE.
   */
  generate(request: GenerationRequest): AsyncGenerator<Piece, Generated>;
  readonly adapters: readonly string[];
  /** @throws HuacayaError USAGE when the name is taken, BAD_ADAPTER when it does not fit the model. */
  addAdapter(name: string, adapter: GeneratorAdapter): Promise<void>;
  /** Requests that use it come to their end first. @throws HuacayaError UNKNOWN_ADAPTER. */
  removeAdapter(name: string): Promise<void>;
  /** How busy it is, and what it did since it was made. */
  stats(): GeneratorStats;
  close(): Promise<void>;
}

/** What a generator needs of `models`' Adapter. */
export type GeneratorAdapter = Pick<import('../models/index.ts').Adapter, 'layout' | 'params'>;

export interface GeneratorStats {
  running: number;
  waiting: number;
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  /** Seconds spent in the engine: on prompts, and on new tokens. */
  prefillSeconds: number;
  decodeSeconds: number;
}
