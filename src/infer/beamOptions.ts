// The settings of beam search, and which other settings contradict them.
import { usageError } from '../base/index.ts';
import type { SamplingOptions } from './sampling.ts';

export interface BeamOptions {
  /** Beams kept at each step, at least 2. */
  numBeams: number;
  /** A finished answer of n tokens is rated by its log-probability / n^lengthPenalty: above 0 favours long answers. */
  lengthPenalty: number;
  /**
   * true: stop once there are numBeams finished answers; false: once the best running beam, at its present length, rates no
   * better than the worst finished one; 'never': once it cannot, at any length.
   */
  earlyStopping: boolean | 'never';
  /** How many of the finished answers to return, best first. */
  returned: number;
}

export const beamDefaults: BeamOptions = { numBeams: 4, lengthPenalty: 1, earlyStopping: false, returned: 1 };

/** More would only cost memory: a key/value cache each. */
const mostBeams = 64;

/** What else was asked for; beams can do little of it. */
export interface BesideBeams {
  sampling?: Partial<SamplingOptions>;
  stream?: boolean;
  constraint?: unknown;
  topLogprobs?: number | undefined;
}

/** @throws HuacayaError USAGE when a value is out of range, or when something asked for is impossible with beams. */
export function checkBeam(o: BeamOptions, beside: BesideBeams = {}): BeamOptions {
  if (!Number.isInteger(o.numBeams) || o.numBeams < 2 || o.numBeams > mostBeams) {
    const hint = o.numBeams === 1 ? 'One beam is greedy decoding: leave num_beams out.' : undefined;
    throw usageError(`num_beams is ${o.numBeams}; it must be a whole number from 2 to ${mostBeams}`, hint);
  }
  if (!Number.isFinite(o.lengthPenalty) || Math.abs(o.lengthPenalty) > 10) {
    throw usageError(`length_penalty is ${o.lengthPenalty}; use -10 to 10`);
  }
  if (![true, false, 'never'].includes(o.earlyStopping)) {
    throw usageError(`early_stopping is ${JSON.stringify(o.earlyStopping)}; it must be true, false or "never"`);
  }
  if (!Number.isInteger(o.returned) || o.returned < 1 || o.returned > o.numBeams) {
    throw usageError(
      `num_return_sequences is ${o.returned}; with ${o.numBeams} beams it must be from 1 to ${o.numBeams}`,
    );
  }
  const s = beside.sampling ?? {};
  const sampled = [
    ['temperature', (s.temperature ?? 0) > 0],
    ['top_p', (s.topP ?? 1) < 1],
    ['top_k', (s.topK ?? 0) > 0],
    ['min_p', (s.minP ?? 0) > 0],
  ] as const;
  for (const [name, set] of sampled) {
    if (set) throw usageError(`beam search does not sample, but ${name} is set`, `Leave out num_beams or ${name}.`);
  }
  const refused = [
    ['presence_penalty', (s.presencePenalty ?? 0) !== 0],
    ['frequency_penalty', (s.frequencyPenalty ?? 0) !== 0],
    ['logit_bias', (s.logitBias?.size ?? 0) > 0],
    ['constrained output', beside.constraint !== undefined],
    ['logprobs', beside.topLogprobs !== undefined],
  ] as const;
  for (const [name, set] of refused) {
    if (set) throw usageError(`beam search and ${name} do not go together`, 'Leave out one of them.');
  }
  if ((s.repetitionPenalty ?? 1) < 1) {
    throw usageError(`repetition_penalty is ${s.repetitionPenalty}; with beams it must be at least 1`);
  }
  if (beside.stream) {
    throw usageError(
      'beam search cannot stream: which beam wins is known at the end',
      'Turn streaming or num_beams off.',
    );
  }
  return o;
}
