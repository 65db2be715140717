// Dedupe by MinHash: looks at the few texts that share a band only, so its cost hardly grows with the set.
import { usageError } from '../../base/index.ts';
import { withRoom } from './ints.ts';
import { bandKeys, chooseBands, hashSeeds, jaccard, shingles } from './minHash.ts';
import { NearestList } from './nearestList.ts';
import { checkThreshold } from './rougeOptions.ts';
import { type Tokenise, type TokeniseName, tokenisers } from './tokens.ts';
import type { BatchDedupe, Verdict } from './types.ts';

export interface MinHashOptions {
  /** A text is a duplicate when the Jaccard index of its shingles with those of one that is in is above this; default 0.7. */
  threshold?: number;
  /** Tokens in a row that make one shingle; default 1, the set of words: instructions are short. */
  shingle?: number;
  /** Default `unicode`. */
  tokenise?: TokeniseName | Tokenise;
  /** Length of a signature; default 128. */
  hashes?: number;
  /** Probability that a text exactly at the threshold is met, default 0.99; nearer ones are met more surely. */
  recall?: number;
  /** Of the hash functions; default 1. */
  seed?: number;
  most?: number;
}

/**
 * Texts compared as sets of shingles. What is met is scored exactly, so nothing below the threshold is dropped; a duplicate
 * is missed with the small probability that `recall` sets. The same seed and texts give the same verdicts. No mean.
 * @throws HuacayaError USAGE for options out of range.
 */
export function createMinHashDedupe(options: MinHashOptions = {}, texts: Iterable<string> = []): BatchDedupe {
  const { threshold = 0.7, shingle = 1, tokenise = 'unicode', hashes = 128 } = options;
  const { recall = 0.99, seed = 1, most = 10 } = options;
  checkThreshold(threshold);
  if (!(recall > 0 && recall < 1)) throw usageError(`recall is ${recall}`, 'Use a number between 0 and 1.');
  for (const [name, value] of Object.entries({ shingle, hashes, most })) {
    if (!Number.isInteger(value) || value < 1) throw usageError(`${name} is ${value}`, 'Use a whole number from 1.');
  }
  const tokeniser = typeof tokenise === 'function' ? tokenise : tokenisers[tokenise];
  if (!tokeniser) throw usageError(`tokenise is "${tokenise}"`, 'Use "rouge" or "unicode".');

  const { bands, rows } = chooseBands(hashes, threshold, recall);
  const seeds = hashSeeds(bands * rows, seed);
  const held: string[] = [];
  const sets: Uint32Array[] = [];
  /** By band: the last text with a key, and for each text the one before it with the same key (-1: none). */
  const last = Array.from({ length: bands }, () => new Map<number, number>());
  const before = Array.from({ length: bands }, () => new Int32Array(0));

  const measure = (text: string) => {
    const set = shingles(tokeniser(text), shingle);
    return { text, set, keys: set.length > 0 ? bandKeys(set, seeds, bands, rows) : new Uint32Array(0) };
  };
  const add = ({ text, set, keys }: ReturnType<typeof measure>) => {
    const id = held.push(text) - 1;
    sets.push(set);
    for (const [band, key] of keys.entries()) {
      before[band] = withRoom(before[band]!, id + 1);
      before[band][id] = last[band]!.get(key) ?? -1;
      last[band]!.set(key, id);
    }
  };
  const check = ({ set, keys }: ReturnType<typeof measure>): Verdict => {
    const best = new NearestList(most);
    const met = new Set<number>();
    for (const [band, key] of keys.entries()) {
      for (let id = last[band]!.get(key) ?? -1; id >= 0; id = before[band]![id]!) {
        if (met.has(id)) continue;
        met.add(id);
        best.offer(jaccard(set, sets[id]!), id);
      }
    }
    const nearest = best.ids.map((id, k) => ({ text: held[id]!, score: best.scores[k]! }));
    return { duplicate: (best.scores[0] ?? 0) > threshold, nearest };
  };

  for (const text of texts) add(measure(text));
  return {
    get size() {
      return held.length;
    },
    add: (text) => add(measure(text)),
    check: async (text) => check(measure(text)),
    async admit(candidates) {
      return candidates.map((text) => {
        const measured = measure(text);
        const verdict = check(measured);
        if (!verdict.duplicate) add(measured);
        return verdict;
      });
    },
    async close() {},
  };
}
