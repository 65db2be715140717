// From candidates to the next token: the most probable one, or a draw by inverting the cumulative distribution over falling
// probabilities. Order as in transformers: temperature, top_k, top_p (Holtzman et al. 2020), min_p (Nguyen et al. 2024).
import { invariant, type Rng } from '../base/index.ts';
import { type Candidates, candidatesOfRow, checkTop, wholeRow } from './candidates.ts';
import { isGreedy, type SamplingOptions } from './sampling.ts';

export interface Choice {
  id: number;
  /** Its logit after adjustments. */
  logit: number;
}

/** The mass comes from float32 arithmetic over the whole row; where it bounds what was not seen, it gets this margin. */
const margin = 1e-3;

/** Uniform in [0, 1) with 53 bits: a vocabulary has tokens far below the 2^-24 that `rng.uniform()` can tell apart. */
const uniform53 = (rng: Rng): number => (rng.uint32() + (rng.uint32() >>> 11) / 0x20_0000) / 0x1_0000_0000;

/**
 * Index of the token that `u` falls on, or undefined when that cannot be told from the candidates.
 *
 * Whatever is kept is a beginning of the falling order, so a draw only needs the cumulative sums and the mass of what is
 * kept. When the end of it lies beyond the candidates, that mass is known within bounds: where both bounds give one
 * token, every mass between them does too, also the exact one. So the choice never depends on how many candidates came.
 */
function pick(c: Candidates, o: SamplingOptions, u: number): number | undefined {
  const top = c.logits[0]!;
  const weight = (i: number) => Math.exp((c.logits[i]! - top) / o.temperature);
  const limit = o.topK > 0 && o.topK < c.vocabSize ? o.topK : c.vocabSize;
  const available = c.logits.length;
  const truncates = limit < c.vocabSize;
  if (truncates && limit > available) return undefined;

  let total = c.mass;
  if (truncates && o.topP < 1) {
    total = 0;
    for (let i = 0; i < limit; i++) total += weight(i);
  }
  const enough = o.topP < 1 ? o.topP * total : Number.POSITIVE_INFINITY;
  const sums: number[] = [];
  let sum = 0;
  let last = 1;
  let ended = false;
  while (!ended && sums.length < Math.min(limit, available)) {
    const w = weight(sums.length);
    ended = w < o.minP || w === 0;
    if (ended) break;
    last = w;
    sum += w;
    sums.push(sum);
    ended = sum >= enough;
  }
  ended ||= sums.length === limit;

  let low = sum;
  let high = sum;
  if (!truncates && o.topP === 1 && o.minP === 0) {
    low = high = c.mass;
  } else if (!ended) {
    if (o.minP === 0) low = Math.min(enough, c.mass * (1 - margin));
    high = o.topP < 1 ? enough + last : c.mass * (1 + margin);
  }
  const at = indexAbove(sums, u * low);
  if (at < sums.length) return low === high || indexAbove(sums, u * high) === at ? at : undefined;
  // Beyond the end of the whole row: the mass was a rounding error larger than the sum. That bit goes to the first token.
  return ended ? 0 : undefined;
}

/** The first index whose sum is above `target`; the length when none is. */
function indexAbove(sums: readonly number[], target: number): number {
  let low = 0;
  let high = sums.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! > target) high = middle;
    else low = middle + 1;
  }
  return low;
}

const choiceAt = (c: Candidates, i: number): Choice => ({ id: c.ids[i]!, logit: c.logits[i]! });

/**
 * Chooses the next token by the distribution of the whole row, and asks for the row only where the candidates do not tell
 * (then the answer is a promise). Takes one random number of 53 bits, none when greedy; the same one gives the same token
 * however many candidates there are.
 * @throws HuacayaError NO_TOKEN when everything is forbidden, BAD_LOGITS.
 */
export function sampleCandidates(c: Candidates, o: SamplingOptions, rng: Rng): Choice | Promise<Choice> {
  invariant(c.logits.length > 0 && c.logits.length === c.ids.length, 'as many logits as ids, and at least one');
  checkTop(c.logits[0]!);
  if (isGreedy(o)) return choiceAt(c, 0);
  checkTop(Number.isFinite(c.mass) ? c.logits[0]! : c.mass);
  const u = uniform53(rng);
  const at = pick(c, o, u);
  return at === undefined ? c.row().then((row) => fromRow(row, c.mass, o, u)) : choiceAt(c, at);
}

function fromRow(row: Float32Array, mass: number, o: SamplingOptions, u: number): Choice {
  const all = wholeRow(row, mass);
  const at = pick(all, o, u);
  invariant(at !== undefined, 'a whole row is enough to choose from');
  return choiceAt(all, at);
}

/**
 * Draws the next token from a whole row of adjusted logits [vocab], as `sampleCandidates` does.
 * @throws HuacayaError NO_TOKEN when everything is forbidden, BAD_LOGITS.
 */
export function sampleToken(logits: Float32Array, o: SamplingOptions, rng: Rng): number {
  if (isGreedy(o)) {
    const id = argmax(logits);
    checkTop(logits[id]!);
    return id;
  }
  const c = candidatesOfRow(logits, Math.max(64, Math.min(o.topK, logits.length)), o.temperature);
  const u = uniform53(rng);
  const at = pick(c, o, u);
  return at === undefined ? fromRow(logits, c.mass, o, u).id : c.ids[at]!;
}

/** The first of the largest. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}
