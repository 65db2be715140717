// One text against all of a store: exact sums of LCS lengths, from which the mean similarity follows, and the nearest texts.
import type { BitPattern } from './bitPattern.ts';
import { withRoom } from './ints.ts';
import { countBelow, type LengthGroup, type LengthStore } from './lengthStore.ts';
import { NearestList } from './nearestList.ts';
import { leastLcs, rougeF } from './rougeScore.ts';

export interface ScanJob {
  /** Token ids; -1 for a token that no text has. */
  tokens: Int32Array;
  /** Only texts with ids below it count. */
  limit: number;
}

/** What a scan of all texts, or of a share of them, found. */
export interface ScanPart {
  /** Lengths of texts, and for each the sum of the LCS lengths. Integers: shares add up to the same total in any order. */
  lengths: number[];
  sums: number[];
  /** Ids and scores of the nearest, best first; texts that share nothing are not among them. */
  ids: number[];
  scores: number[];
}

/** @param most how many of the nearest to keep. */
export function scan(store: LengthStore, pattern: BitPattern, job: ScanJob, most: number): ScanPart {
  const m = job.tokens.length;
  const nearest = new NearestList(most);
  const part: ScanPart = { lengths: [], sums: [], ids: nearest.ids, scores: nearest.scores };
  if (m === 0) return part;
  pattern.set(job.tokens, store.tokenBound);
  // Lengths next to the text's own first: there the high scores are, and later ones rarely get in.
  for (const group of [...store.present].sort((a, b) => Math.abs(a.length - m) - Math.abs(b.length - m))) {
    part.lengths.push(group.length);
    part.sums.push(scanGroup(group, pattern, job.limit, nearest));
  }
  return part;
}

let scratch = new Int32Array(0);

function scanGroup(group: LengthGroup, pattern: BitPattern, limit: number, nearest: NearestList): number {
  const { length, tokens, ids } = group;
  const count = countBelow(group, limit);
  let bar = leastLcs(pattern.length, length, nearest.bar, true);
  let sum = 0;
  scratch = withRoom(scratch, count);
  pattern.lcsEach(tokens, length, count, scratch);
  for (let k = 0; k < count; k++) {
    const lcs = scratch[k]!;
    sum += lcs;
    if (lcs >= bar) {
      nearest.offer(rougeF(lcs, pattern.length, length), ids[k]!);
      bar = leastLcs(pattern.length, length, nearest.bar, true);
    }
  }
  return sum;
}

/** Puts shares together, whatever their number and order. */
export function mergeParts(parts: readonly ScanPart[], most: number): ScanPart {
  const sums = new Map<number, number>();
  const nearest = new NearestList(most);
  for (const part of parts) {
    for (const [k, n] of part.lengths.entries()) sums.set(n, (sums.get(n) ?? 0) + part.sums[k]!);
    for (const [k, id] of part.ids.entries()) nearest.offer(part.scores[k]!, id);
  }
  return { lengths: [...sums.keys()], sums: [...sums.values()], ids: nearest.ids, scores: nearest.scores };
}

/** Mean F of a text of `m` tokens with `count` others: the F of a pair is 2 LCS / (m + n). Added up in order of length. */
export function meanOf(part: ScanPart, m: number, count: number): number {
  if (count === 0) return 0;
  const order = [...part.lengths.keys()].sort((a, b) => part.lengths[a]! - part.lengths[b]!);
  return order.reduce((total, k) => total + (2 * part.sums[k]!) / (m + part.lengths[k]!), 0) / count;
}
