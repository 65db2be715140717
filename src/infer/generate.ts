// Text generation: prompt tokens in, a stream of text out. The whole loop of a chat is in this file.
import { createRng, usageError } from '../base/index.ts';
import type { InferencePass, ResidentAdapter } from '../runner/index.ts';
import { applyAdjustments, createAdjustments } from './adjustments.ts';
import type { FinishReason, Generated } from './request.ts';
import { sampleToken } from './sampler.ts';
import { checkSampling, defaultSampling, type SamplingOptions } from './sampling.ts';
import { createStopFilter } from './stopStrings.ts';

/** What generation needs of a tokenizer. */
export interface TextDecoder {
  readonly eosIds: readonly number[];
  stream(): { push(id: number): string; flush(): string };
}

/** Sampling options that are left out are those of `defaultSampling`. */
export interface GenerateOptions extends Partial<SamplingOptions> {
  maxNewTokens: number;
  /** Texts at which the answer ends; they are not part of it. */
  stop?: readonly string[];
  adapter?: ResidentAdapter;
  /** Aborted: generation ends after the token in progress. */
  signal?: AbortSignal;
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
  const sampling = checkSampling({ ...defaultSampling, ...options });
  if (!Number.isInteger(options.maxNewTokens) || options.maxNewTokens < 1) {
    throw usageError(`max_new_tokens is ${options.maxNewTokens}; it must be a whole number of at least 1`);
  }
  if (promptIds.length === 0) throw usageError('the prompt is empty');
  const rng = createRng(sampling.seed);
  const adjustments = createAdjustments(sampling, promptIds);
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
      const adjusted = adjustments ? applyAdjustments(logits, adjustments.current()) : logits;
      const id = sampleToken(adjusted, sampling, rng);
      adjustments?.push(id);
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
    cachedTokens: 0,
    queueSeconds: 0,
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
