// What a user may choose about a dedupe by ROUGE-L, checked.
import { usageError } from '../../base/index.ts';
import { type Tokenise, type TokeniseName, tokenisers } from './tokens.ts';

/**
 * What a verdict tells about a text that is let in. `decision`: nothing more. `nearest`: the most similar ones, through the
 * index. `exact`: these and the mean similarity to all, for which every pair is scored, as the published pipelines do.
 */
export type Details = 'exact' | 'nearest' | 'decision';

export interface RougeOptions {
  /** A text is a duplicate when its ROUGE-L F with one that is in is above this; default 0.7. */
  threshold?: number;
  /** `rouge` (default) is rouge_score's tokeniser, which knows ASCII only; `unicode` is for other languages. */
  tokenise?: TokeniseName | Tokenise;
  /** Default `exact`. */
  details?: Details;
  /** How many of the most similar are told; default 10. */
  most?: number;
}

export interface RougeSettings {
  threshold: number;
  tokenise: Tokenise;
  details: Details;
  most: number;
}

/** @throws HuacayaError USAGE. */
export function rougeSettings(options: RougeOptions): RougeSettings {
  const { threshold = 0.7, tokenise = 'rouge', details = 'exact', most = 10 } = options;
  checkThreshold(threshold);
  const tokeniser = typeof tokenise === 'function' ? tokenise : tokenisers[tokenise];
  if (!tokeniser) throw usageError(`tokenise is "${tokenise}"`, 'Use "rouge" or "unicode".');
  if (!['exact', 'nearest', 'decision'].includes(details)) {
    throw usageError(`details is "${details}"`, 'Use "exact", "nearest" or "decision".');
  }
  if (!Number.isInteger(most) || most < 1) throw usageError(`most is ${most}`, 'Use a whole number from 1.');
  return { threshold, tokenise: tokeniser, details, most };
}

/** @throws HuacayaError USAGE. */
export function checkThreshold(threshold: number): void {
  if (!(threshold >= 0 && threshold <= 1)) throw usageError(`threshold is ${threshold}`, 'Use a number from 0 to 1.');
}
