// The knobs of decoding, what they mean, and which of them contradict each other.
import { usageError } from '../base/index.ts';

export interface SamplingOptions {
  /** 0: greedy. */
  temperature: number;
  /** Keep the smallest set of tokens whose probability reaches this; 1: all (Holtzman et al. 2020). */
  topP: number;
  /** Keep so many tokens; 0: all. */
  topK: number;
  /** Keep tokens with at least this share of the most probable one's probability; 0: all. */
  minP: number;
  /** Divides positive and multiplies negative logits of tokens seen in prompt or answer; 1: off (Keskar et al. 2019). */
  repetitionPenalty: number;
  /** Subtracted from the logits of tokens seen in the answer; 0: off. */
  presencePenalty: number;
  /** Subtracted once for each time a token was seen in the answer; 0: off. */
  frequencyPenalty: number;
  /** Added to the logits of single tokens. */
  logitBias: ReadonlyMap<number, number>;
  seed: number;
}

/** Greedy, nothing adjusted. */
export const defaultSampling: Readonly<SamplingOptions> = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: new Map(),
  seed: 0,
};

const leastTemperature = 1e-6;

/** NaN is in no range. */
function within(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) throw usageError(`${name} is ${value}; use ${low} to ${high}`);
}

/**
 * @param vocabSize when given, ids of logit_bias must be below it.
 * @throws HuacayaError USAGE when a value is out of range, or when settings contradict each other.
 */
export function checkSampling(o: SamplingOptions, vocabSize?: number): SamplingOptions {
  within('temperature', o.temperature, 0, 100);
  // Divided by less, logits of float32 are no numbers any more.
  if (o.temperature > 0 && o.temperature < leastTemperature) {
    throw usageError(`temperature is ${o.temperature}; use 0 for greedy, or at least ${leastTemperature}`);
  }
  if (!(o.topP > 0 && o.topP <= 1)) throw usageError(`top_p is ${o.topP}; it must be above 0 and at most 1`);
  if (!Number.isSafeInteger(o.topK) || o.topK < 0)
    throw usageError(`top_k is ${o.topK}; it must be a whole number, 0 for off`);
  within('min_p', o.minP, 0, 1);
  // transformers asks for more than 0 only; the bounds keep float32 logits finite.
  within('repetition_penalty', o.repetitionPenalty, 0.01, 100);
  within('presence_penalty', o.presencePenalty, -2, 2);
  within('frequency_penalty', o.frequencyPenalty, -2, 2);
  for (const [id, bias] of o.logitBias) {
    if (!Number.isSafeInteger(id) || id < 0)
      throw usageError(`logit_bias names token ${id}; token ids are whole numbers`);
    if (vocabSize !== undefined && id >= vocabSize)
      throw usageError(`logit_bias names token ${id}; the model has tokens 0 to ${vocabSize - 1}`);
    within(`logit_bias of token ${id}`, bias, -100, 100);
  }
  if (!Number.isSafeInteger(o.seed)) throw usageError(`seed is ${o.seed}; it must be a whole number`);
  if (o.temperature === 0) {
    const [idle] = filters(o);
    if (idle) {
      throw usageError(
        `${idle[0]} ${idle[1]} has no effect at temperature 0, which always takes the most probable token`,
        `Set a temperature above 0, or leave ${idle[0]} out.`,
      );
    }
  }
  return o;
}

/** Settings that only sampling heeds, where they are on. */
function filters(o: SamplingOptions): [name: string, value: number][] {
  const all: [string, number, boolean][] = [
    ['top_k', o.topK, o.topK > 0],
    ['top_p', o.topP, o.topP < 1],
    ['min_p', o.minP, o.minP > 0],
  ];
  return all.filter(([, , on]) => on).map(([name, value]) => [name, value]);
}

/** Whether the most probable token is always taken: at temperature 0, and when top_k leaves one token. */
export const isGreedy = (o: SamplingOptions): boolean => o.temperature === 0 || o.topK === 1;

export interface SamplingMode {
  mode: 'greedy' | 'sampling';
  /** Only those that change something, by their names in requests. `logit_bias` is the number of tokens it names. */
  settings: Readonly<Record<string, number>>;
}

/** What will really happen. Of top_k 1 nothing remains but that it is greedy. */
export function samplingMode(o: SamplingOptions): SamplingMode {
  const greedy = isGreedy(o);
  const settings: Record<string, number> = greedy
    ? {}
    : { temperature: o.temperature, ...Object.fromEntries(filters(o)) };
  if (o.repetitionPenalty !== 1) settings.repetition_penalty = o.repetitionPenalty;
  if (o.presencePenalty !== 0) settings.presence_penalty = o.presencePenalty;
  if (o.frequencyPenalty !== 0) settings.frequency_penalty = o.frequencyPenalty;
  if (o.logitBias.size > 0) settings.logit_bias = o.logitBias.size;
  if (!greedy) settings.seed = o.seed;
  return { mode: greedy ? 'greedy' : 'sampling', settings };
}

/** The same in words, e.g. "greedy, repetition_penalty 1.1" or "sampling, temperature 0.7, top_p 0.9, seed 3". */
export function describeSampling(o: SamplingOptions): string {
  const { mode, settings } = samplingMode(o);
  const words = Object.entries(settings).map(([name, value]) =>
    name === 'logit_bias' ? `logit_bias on ${value} ${value === 1 ? 'token' : 'tokens'}` : `${name} ${value}`,
  );
  return [mode, ...words].join(', ');
}
