// From knobs to a request: what contradicts what, what will really happen in words, and what the assistant is asked.
import { type AskOptions, checkSchema } from '../assistant/index.ts';
import { usageError } from '../base/index.ts';
import {
  type BeamOptions,
  beamDefaults,
  checkBeam,
  checkSampling,
  describeSampling,
  isGreedy,
  type SamplingOptions,
} from '../infer/index.ts';
import { defaultKnobs, type Knobs } from './knobs.ts';

const samplingOf = (k: Knobs): SamplingOptions => ({
  temperature: k.temperature,
  topP: k.topP,
  topK: k.topK,
  minP: k.minP,
  repetitionPenalty: k.repetitionPenalty,
  presencePenalty: k.presencePenalty,
  frequencyPenalty: k.frequencyPenalty,
  logitBias: k.logitBias,
  seed: k.seed,
});

const beamOf = (k: Knobs): BeamOptions | undefined =>
  k.numBeams === 1
    ? undefined
    : { ...beamDefaults, numBeams: k.numBeams, lengthPenalty: k.lengthPenalty, earlyStopping: k.earlyStopping };

/** Beam search needs the whole answer before it knows its beginning. */
export const streams = (k: Knobs): boolean => k.numBeams === 1;

/** The same question has the same answer, whatever the seed. */
export const isFixed = (k: Knobs): boolean => k.numBeams > 1 || isGreedy(samplingOf(k));

export interface KnobContext {
  /** Whether an adapter answers; undefined: not known yet. */
  adapter?: boolean;
  vocabSize?: number;
}

/** @throws HuacayaError USAGE for values out of range, and for settings of which one would do nothing. */
export function checkKnobs(k: Knobs, { adapter, vocabSize }: KnobContext = {}): Knobs {
  const sampling = checkSampling(samplingOf(k), vocabSize);
  if (!Number.isSafeInteger(k.maxNewTokens) || k.maxNewTokens < 1) {
    throw usageError(`max-new-tokens is ${k.maxNewTokens}; it must be a whole number of at least 1`);
  }
  if (k.logprobs !== undefined && !(Number.isInteger(k.logprobs) && k.logprobs >= 0 && k.logprobs <= 20)) {
    throw usageError(`logprobs is ${k.logprobs}; use a whole number from 0 to 20`);
  }
  const beyond = vocabSize === undefined ? undefined : k.stopTokenIds.find((id) => id >= vocabSize);
  if (beyond !== undefined) {
    throw usageError(`stop-token-ids names token ${beyond}; the model has tokens 0 to ${vocabSize! - 1}`);
  }
  if (!Number.isFinite(k.adapterScale) || Math.abs(k.adapterScale) > 1000) {
    throw usageError(`adapter-scale is ${k.adapterScale}; use -1000 to 1000`);
  }
  if (adapter === false && k.adapterScale !== 1) {
    throw usageError(`adapter-scale is ${k.adapterScale}, but no adapter answers`, 'Name one with --adapter.');
  }
  if (k.jsonSchema) checkSchema(k.jsonSchema.schema);
  const beam = beamOf(k);
  if (beam) {
    checkBeam(beam, { sampling, constraint: k.jsonSchema, topLogprobs: k.logprobs });
  } else {
    for (const name of ['lengthPenalty', 'earlyStopping'] as const) {
      if (k[name] === defaultKnobs[name]) continue;
      const flag = name === 'lengthPenalty' ? 'length-penalty' : 'early-stopping';
      throw usageError(`${flag} is ${k[name]}, but without beams it has no effect`, 'Set --num-beams.');
    }
  }
  return k;
}

/** What will really happen, e.g. "greedy" or "sampling, temperature 0.7, seed 3, JSON of colours.json". */
export function describeKnobs(k: Knobs): string {
  const sampling = describeSampling(samplingOf(k));
  const beams = [`beam search with ${k.numBeams} beams`];
  if (k.lengthPenalty !== defaultKnobs.lengthPenalty) beams.push(`length_penalty ${k.lengthPenalty}`);
  if (k.earlyStopping !== defaultKnobs.earlyStopping) beams.push(`early_stopping ${k.earlyStopping}`);
  const parts = [k.numBeams === 1 ? sampling : sampling.replace('greedy', beams.join(', '))];
  if (k.jsonSchema) parts.push(`JSON of ${k.jsonSchema.path}`);
  return parts.join(', ');
}

/** A request's options. A constraint belongs to one request: it is not among them. */
export function askOptions(k: Knobs, model: { id: string; kind: 'base' | 'adapter' }): AskOptions {
  const beam = beamOf(k);
  return {
    model: model.id,
    sampling: samplingOf(k),
    maxNewTokens: k.maxNewTokens,
    stop: k.stop,
    ...(k.stopTokenIds.length > 0 ? { stopIds: k.stopTokenIds } : {}),
    ...(k.logprobs === undefined ? {} : { topLogprobs: k.logprobs }),
    ...(model.kind === 'adapter' && k.adapterScale !== 1 ? { adapterScale: k.adapterScale } : {}),
    ...(beam ? { beam } : {}),
  };
}
