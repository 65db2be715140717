export {
  type Adjustments,
  type AdjustmentTracker,
  applyAdjustments,
  createAdjustments,
  undoAdjustment,
} from './adjustments.ts';
export { type BeamAnswer, type BeamModel, type BeamRequest, type BeamRow, beamSearch } from './beam.ts';
export { type BeamOptions, type BesideBeams, beamDefaults, checkBeam } from './beamOptions.ts';
export {
  type Candidates,
  candidatesOfRow,
  forbid,
  type RawCandidates,
  restrictCandidates,
} from './candidates.ts';
export type { TokenConstraint } from './constraint.ts';
export { createGenerator, type GeneratorOptions } from './generator.ts';
export type { TokenTexts } from './grammar/tokenTrie.ts';
export { type TokenVocabulary, tokenVocabulary } from './grammar/vocabulary.ts';
export type { TextDecoder } from './job.ts';
export {
  choiceConstraint,
  jsonObjectConstraint,
  jsonSchemaConstraint,
  regexConstraint,
  responseFormatConstraint,
} from './jsonConstraint.ts';
export { rawCandidatesOfRow, rawLogSumExp, tokenLogprob } from './logprobs.ts';
export type {
  FinishReason,
  Generated,
  GenerationRequest,
  GeneratorAdapter,
  GeneratorStats,
  Piece,
  TextGenerator,
  TokenLogprob,
} from './request.ts';
export { argmax, type Choice, sampleCandidates, sampleToken } from './sampler.ts';
export {
  checkSampling,
  defaultSampling,
  describeSampling,
  isGreedy,
  type SamplingMode,
  type SamplingOptions,
  samplingMode,
} from './sampling.ts';
export { createStopFilter, type StopFilter } from './stopStrings.ts';
