export {
  type FinishReason,
  type Generated,
  type GenerateOptions,
  generate,
  generateText,
  type TextDecoder,
} from './generate.ts';
export { argmax, checkSampling, describeSampling, type SamplingOptions, sampleToken } from './sampler.ts';
export { createStopFilter, type StopFilter } from './stopStrings.ts';
