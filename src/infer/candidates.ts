// What decoding sees of a row of logits: its most probable tokens and one sum. The rest of the row is asked for only when
// the choice needs it, so that a vocabulary of logits need not leave the engine for each token.
import { HuacayaError } from '../base/index.ts';
import { isGreedy, type SamplingOptions } from './sampling.ts';

export interface Candidates {
  /** Most probable tokens of the row, at least one: falling logits, equal ones by rising id. [k] */
  ids: ArrayLike<number>;
  /** Theirs, after penalties and logit_bias. [k] */
  logits: Float32Array;
  vocabSize: number;
  /**
   * Sum over the whole row of exp((logit - logits[0]) / temperature), so between 1 and vocabSize, to a relative 1e-4.
   * Greedy decoding does not look at it. At temperature 1, the log-probability of a candidate after adjustments is
   * logits[i] - logits[0] - ln(mass).
   */
  mass: number;
  /** The whole row after adjustments [vocabSize], float for float the one that the candidates are of. */
  row(): Promise<Float32Array>;
}

/** The row before adjustments, for log-probabilities. Without adjustments: the candidates themselves. */
export interface RawCandidates {
  /** As many as log-probabilities are asked for, or more: falling logits. [n] */
  ids: ArrayLike<number>;
  logits: Float32Array;
  /** ln of the sum over the whole row of exp(logit). */
  logSumExp: number;
}

/** @throws HuacayaError NO_TOKEN when everything is forbidden, BAD_LOGITS when they are not numbers. */
export function checkTop(top: number): void {
  if (top === Number.NEGATIVE_INFINITY) {
    throw new HuacayaError('NO_TOKEN', 'no token may come next: what constrains the answer forbids all of them');
  }
  if (!Number.isFinite(top)) {
    throw new HuacayaError('BAD_LOGITS', `the model gave ${top} as its largest logit`, {
      hint: 'Its weights, or those of the adapter, hold values that are not numbers.',
    });
  }
}

/** Ids of a whole row by falling logit, equal ones by rising id. At most 2^21 tokens. */
function fallingIds(row: Float32Array): Float64Array {
  const values = new Float32Array(row.length);
  for (let i = 0; i < row.length; i++) values[i] = row[i]! + 0; // -0 becomes 0: they are equal
  const bits = new Int32Array(values.buffer);
  const keys = new Float64Array(row.length);
  for (let i = 0; i < bits.length; i++) {
    // Bit patterns of floats, turned so that larger numbers give smaller keys; the id decides between equals.
    const b = bits[i]!;
    keys[i] = (b < 0 ? b >>> 0 : 0x7fffffff - b) * 0x200000 + i;
  }
  keys.sort();
  for (let i = 0; i < keys.length; i++) keys[i] = keys[i]! % 0x200000;
  return keys;
}

/** The k first of `fallingIds`, for small k: most of a row is compared with the k-th only. */
function topIds(row: Float32Array, k: number): Int32Array {
  const ids = new Int32Array(k);
  let count = 0;
  for (let id = 0; id < row.length; id++) {
    const value = row[id]!;
    if (count === k && !(value > row[ids[k - 1]!]!)) continue;
    let at = count < k ? count++ : k - 1;
    for (; at > 0 && value > row[ids[at - 1]!]!; at--) ids[at] = ids[at - 1]!;
    ids[at] = id;
  }
  return ids;
}

/** All of a row as candidates; `mass` stays what the caller knows already. */
export function wholeRow(row: Float32Array, mass: number): Candidates {
  const ids = fallingIds(row);
  const logits = new Float32Array(row.length);
  for (let i = 0; i < ids.length; i++) logits[i] = row[ids[i]!]!;
  return { ids, logits, vocabSize: row.length, mass, row: async () => row };
}

/**
 * What the engine's graph gives of a row, made on the host.
 * @param row adjusted logits [vocab] @param temperature 0 is as 1: greedy does not look at the mass
 * @throws HuacayaError NO_TOKEN, BAD_LOGITS.
 */
export function candidatesOfRow(row: Float32Array, k: number, temperature: number): Candidates {
  const t = temperature || 1;
  let top = Number.NEGATIVE_INFINITY;
  for (const x of row) if (!(x <= top)) top = x;
  checkTop(top);
  let mass = 0;
  for (const x of row) mass += Math.exp((x - top) / t);
  checkTop(Number.isNaN(mass) ? mass : top);
  if (k * 16 >= row.length) {
    const all = wholeRow(row, mass);
    return { ...all, ids: Array.from(all.ids).slice(0, k), logits: all.logits.slice(0, k) };
  }
  const ids = topIds(row, k);
  return {
    ids,
    logits: Float32Array.from(ids, (id) => row[id]!),
    vocabSize: row.length,
    mass,
    row: async () => row,
  };
}

/** A copy of a row in which tokens whose bit is not set cannot come. @param allowed [ceil(vocab / 32)] */
export function forbid(row: Float32Array, allowed: Uint32Array): Float32Array {
  return row.map((x, id) => ((allowed[id >>> 5]! >>> (id & 31)) & 1 ? x : Number.NEGATIVE_INFINITY));
}

/**
 * Candidates among the tokens of a constraint. Greedy decoding needs the row only when no candidate is allowed; sampling
 * always does, because the mass of what is allowed is not known.
 * @throws HuacayaError NO_TOKEN when nothing is allowed.
 */
export async function restrictCandidates(c: Candidates, allowed: Uint32Array, o: SamplingOptions): Promise<Candidates> {
  if (isGreedy(o)) {
    for (let i = 0; i < c.ids.length; i++) {
      const id = c.ids[i]!;
      if (!((allowed[id >>> 5]! >>> (id & 31)) & 1)) continue;
      const row = async () => forbid(await c.row(), allowed);
      return { ...c, ids: [id], logits: c.logits.slice(i, i + 1), row };
    }
  }
  return candidatesOfRow(forbid(await c.row(), allowed), Math.max(1, c.ids.length), o.temperature);
}
