// From logits to the next token. Greedy, or sampling from the most probable tokens (Holtzman et al. 2020).
import { type Rng, usageError } from '../base/index.ts';

export interface SamplingOptions {
  /** 0: greedy. */
  temperature: number;
  /** Keep the smallest set of tokens whose probability reaches this; 1: all. */
  topP: number;
  /** Keep so many tokens; 0: all. */
  topK: number;
}

/** @throws HuacayaError USAGE when a value is out of range, or when settings contradict each other. */
export function checkSampling(o: SamplingOptions): SamplingOptions {
  if (!(o.temperature >= 0 && o.temperature <= 100)) throw usageError(`temperature is ${o.temperature}; use 0 to 100`);
  if (!(o.topP > 0 && o.topP <= 1)) throw usageError(`top_p is ${o.topP}; it must be above 0 and at most 1`);
  if (!Number.isInteger(o.topK) || o.topK < 0)
    throw usageError(`top_k is ${o.topK}; it must be a whole number, 0 for off`);
  if (o.temperature === 0 && (o.topP < 1 || o.topK > 0)) {
    throw usageError('top_p and top_k have no effect at temperature 0', 'Set a --temperature, or leave them out.');
  }
  return o;
}

/** In words, so that a user sees what will happen. */
export function describeSampling(o: SamplingOptions): string {
  if (o.temperature === 0) return 'greedy';
  const parts = [`temperature ${o.temperature}`];
  if (o.topK > 0) parts.push(`top_k ${o.topK}`);
  if (o.topP < 1) parts.push(`top_p ${o.topP}`);
  return `sampling, ${parts.join(', ')}`;
}

export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/** Token ids by falling logit: all of them, or the `k` largest. */
function candidates(logits: Float32Array, k: number): number[] {
  const all = Array.from(logits, (_, i) => i);
  const byLogit = (a: number, b: number) => logits[b]! - logits[a]! || a - b;
  if (k <= 0 || k >= all.length) return all.sort(byLogit);
  // The k-th largest logit bounds the rest: sort values natively, then only a handful of ids.
  const bound = Float32Array.from(logits).sort()[logits.length - k]!;
  return all
    .filter((i) => logits[i]! >= bound)
    .sort(byLogit)
    .slice(0, k);
}

/** Draws the next token. */
export function sampleToken(logits: Float32Array, o: SamplingOptions, rng: Rng): number {
  if (o.temperature === 0) return argmax(logits);
  const ids = candidates(logits, o.topK);
  const top = logits[ids[0]!]!;
  const weights = ids.map((i) => Math.exp((logits[i]! - top) / o.temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let kept = 0;
  let mass = 0;
  while (kept < ids.length && (kept === 0 || mass < o.topP * total)) mass += weights[kept++]!;
  let at = rng.uniform() * mass;
  for (let i = 0; i < kept; i++) {
    at -= weights[i]!;
    if (at < 0) return ids[i]!;
  }
  return ids[kept - 1]!;
}
