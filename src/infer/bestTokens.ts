// The most probable tokens of a row of logits, and what turns logits into log-probabilities.
import type { BeamRow } from './beam.ts';

/** The `best` largest logits, largest first; of equal ones the lower id. */
export function bestTokens(logits: Float32Array, best: number): BeamRow {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  // The best-th largest logit bounds the rest: values sort natively, then only a handful of ids is left.
  const bound = best < logits.length ? Float32Array.from(logits).sort()[logits.length - best]! : -Infinity;
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id]! >= bound) ids.push(id);
  ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  ids.length = Math.min(best, ids.length);
  return { ids, logits: ids.map((id) => logits[id]!), logSumExp: largest + Math.log(sum) };
}
