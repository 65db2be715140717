// Which examples start with the same tokens: a preamble or a system prompt is computed once for all of them.
import type { Example } from './buildExample.ts';

/** Examples that share their first `prefix` tokens and targets, each with at least one token beyond. */
export interface Family {
  prefix: number;
  members: Example[];
}

/** The sign tells the order; `at` is where two examples part: in a token, or in what is to be predicted after it. */
function compare(a: Example, b: Example): { order: number; at: number } {
  const length = Math.min(a.ids.length, b.ids.length);
  for (let at = 0; at < length; at++) {
    const order = a.ids[at]! - b.ids[at]! || a.targets[at]! - b.targets[at]!;
    if (order !== 0) return { order, at };
  }
  return { order: a.ids.length - b.ids.length, at: length };
}

/**
 * Tokens that two examples can share. Where they part, the token before is to predict two different things; a token is
 * shared only if its target is too, so each token has one target at most.
 */
const commonPrefix = (a: Example, b: Example) => Math.min(compare(a, b).at, Math.min(a.ids.length, b.ids.length) - 1);

/** The members of a pack as a family: what all of them share. */
export function familyOf(members: Example[]): Family {
  const [first, ...others] = members;
  return { prefix: others.length ? Math.min(...others.map((m) => commonPrefix(first!, m))) : 0, members };
}

/**
 * Puts examples together that are better computed with a shared prefix: of the runs in sorted order, those that save most
 * tokens. Nested prefixes are weighed against each other; a family has one prefix.
 * @returns indices into `examples`; each occurs once.
 */
export function findFamilies(examples: readonly Example[]): number[][] {
  const sorted = examples.map((_, i) => i).sort((i, j) => compare(examples[i]!, examples[j]!).order || i - j);
  const shared = sorted.map((index, i) => (i === 0 ? 0 : commonPrefix(examples[sorted[i - 1]!]!, examples[index]!)));

  const best = (from: number, to: number): { saved: number; runs: (readonly [number, number])[] } => {
    if (to - from === 1) return { saved: 0, runs: [[from, to]] };
    let least = Infinity;
    for (let i = from + 1; i < to; i++) least = Math.min(least, shared[i]!);
    const whole = { saved: (to - from - 1) * least, runs: [[from, to] as const] };
    const parts: typeof whole = { saved: 0, runs: [] };
    let start = from;
    for (let i = from + 1; i <= to; i++) {
      if (i < to && shared[i]! > least) continue;
      const part = best(start, i);
      parts.saved += part.saved;
      for (const run of part.runs) parts.runs.push(run);
      start = i;
    }
    return whole.saved > parts.saved ? whole : parts;
  };
  if (examples.length === 0) return [];
  return best(0, sorted.length).runs.map(([from, to]) => sorted.slice(from, to).sort((i, j) => i - j));
}
