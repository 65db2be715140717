// Text generation: prompt tokens in, a stream of text out. The whole loop of a chat is in this file.
import { createRng, usageError } from '../base/index.ts';
import type { InferencePass, ResidentAdapter } from '../runner/index.ts';
import { checkSampling, type SamplingOptions, sampleToken } from './sampler.ts';
import { createStopFilter } from './stopStrings.ts';

/** What generation needs of a tokenizer. */
export interface TextDecoder {
  readonly eosIds: readonly number[];
  stream(): { push(id: number): string; flush(): string };
}

export interface GenerateOptions extends SamplingOptions {
  maxNewTokens: number;
  seed: number;
  /** Texts at which the answer ends; they are not part of it. */
  stop?: readonly string[];
  adapter?: ResidentAdapter;
  /** Aborted: generation ends after the token in progress. */
  signal?: AbortSignal;
}

export type FinishReason = 'eos' | 'stop' | 'length' | 'aborted';

export interface Generated {
  text: string;
  /** New tokens, the end token included. */
  ids: number[];
  finish: FinishReason;
  promptTokens: number;
  /** From the call to the first token's logits. */
  prefillSeconds: number;
  /** From the first token's logits to the end. */
  decodeSeconds: number;
}

/**
 * Yields text as soon as it is certain (whole characters, no beginning of a stop string); returns the whole answer.
 * @throws HuacayaError USAGE for contradicting options, TOO_LONG when the model's positions do not suffice.
 */
export async function* generate(
  pass: InferencePass,
  tokenizer: TextDecoder,
  promptIds: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<string, Generated> {
  checkSampling(options);
  if (!Number.isInteger(options.maxNewTokens) || options.maxNewTokens < 1) {
    throw usageError(`max_new_tokens is ${options.maxNewTokens}; it must be a whole number of at least 1`);
  }
  if (promptIds.length === 0) throw usageError('the prompt is empty');
  const rng = createRng(options.seed);
  const decoder = tokenizer.stream();
  const filter = createStopFilter(options.stop ?? []);
  const cache = pass.createCache(promptIds.length + options.maxNewTokens);
  const started = performance.now();
  let firstAt = started;
  const ids: number[] = [];
  let text = '';
  let finish: FinishReason = 'length';
  try {
    let next: readonly number[] = promptIds;
    while (ids.length < options.maxNewTokens) {
      const logits = await pass.advance(cache, next, options.adapter);
      if (ids.length === 0) firstAt = performance.now();
      const id = sampleToken(logits, options, rng);
      ids.push(id);
      if (tokenizer.eosIds.includes(id)) {
        finish = 'eos';
        break;
      }
      const shown = filter.push(decoder.push(id));
      text += shown;
      if (shown) yield shown;
      if (filter.met !== undefined) {
        finish = 'stop';
        break;
      }
      if (options.signal?.aborted) {
        finish = 'aborted';
        break;
      }
      next = [id];
    }
    if (finish !== 'stop') {
      const rest = filter.push(decoder.flush()) + filter.flush();
      text += rest;
      if (rest) yield rest;
    }
  } finally {
    pass.freeCache(cache);
  }
  return {
    text,
    ids,
    finish,
    promptTokens: promptIds.length,
    prefillSeconds: (firstAt - started) / 1000,
    decodeSeconds: (performance.now() - firstAt) / 1000,
  };
}

/** The whole answer at once. */
export async function generateText(...call: Parameters<typeof generate>): Promise<Generated> {
  const pieces = generate(...call);
  for (;;) {
    const piece = await pieces.next();
    if (piece.done) return piece.value;
  }
}
