// Log-probabilities of the model's own distribution: before temperature, penalties, logit_bias and filters.
import { invariant } from '../base/index.ts';
import { type Adjustments, undoAdjustment } from './adjustments.ts';
import { candidatesOfRow, type RawCandidates } from './candidates.ts';
import type { TokenLogprob } from './request.ts';
import type { Choice } from './sampler.ts';

/**
 * @param list what was adjusted when `choice` was made; without it, or for tokens not in it, logits are the model's own
 * @param top how many of the most probable tokens to name, the chosen one not counted on top
 */
export function tokenLogprob(
  raw: RawCandidates,
  choice: Choice,
  list: Adjustments | undefined,
  top: number,
): TokenLogprob {
  invariant(
    raw.logits.length >= top,
    `${top} log-probabilities are asked for, the engine returned ${raw.logits.length}`,
  );
  const logprob = (logit: number) => Math.min(0, logit - raw.logSumExp);
  // The model's own logit where it came along; else the adjustments are undone, which costs a rounding.
  const at = Array.prototype.indexOf.call(raw.ids, choice.id);
  const own = at >= 0 ? raw.logits[at]! : list ? undoAdjustment(list, choice.id, choice.logit) : choice.logit;
  return {
    id: choice.id,
    logprob: logprob(own),
    top: Array.from({ length: top }, (_, i) => ({ id: raw.ids[i]!, logprob: logprob(raw.logits[i]!) })),
  };
}

/** ln of the sum of exp(logit) over a row [vocab]. */
export function rawLogSumExp(row: Float32Array): number {
  const { logits, mass } = candidatesOfRow(row, 1, 1);
  return logits[0]! + Math.log(mass);
}

/** What the engine's graph gives of a row before adjustments [vocab], made on the host. */
export function rawCandidatesOfRow(row: Float32Array, k: number): RawCandidates {
  const { ids, logits, mass } = candidatesOfRow(row, k, 1);
  return { ids, logits, logSumExp: logits[0]! + Math.log(mass) };
}
