export { type AdapterImage, adapterImage } from './adapterImage.ts';
export type { AdapterUse } from './adapterStack.ts';
export { type Ceiling, measureCeiling } from './ceiling.ts';
export {
  choosePlan,
  type MemoryPlan,
  type PlanSettings,
  type PlanWishes,
  planCandidates,
  showPlanSettings,
} from './choosePlan.ts';
export {
  createDecodeEngine,
  type DecodeOptions,
  type DecodePrecision,
  decodePrecisions,
} from './createDecodeEngine.ts';
export type { KvPrecision } from './decodeBody.ts';
export { DecodeEngine, type Pass, type Picked, type PickOptions, type RowChanges } from './decodeEngine.ts';
export { type ConstantStore, type DecodeRecipe, fitsBlocks } from './decodeWeights.ts';
export { dropoutMask } from './dropoutMask.ts';
export { InferencePass, type KvCache, type ResidentAdapter } from './inferencePass.ts';
export { int8IsExact } from './int8Probe.ts';
export {
  estimateInference,
  estimateTraining,
  fullPack,
  isFrugal,
  type MemoryEstimate,
  type MemoryRow,
  type MemorySettings,
  type TrainingMemory,
  trainedIn,
} from './memoryPlan.ts';
export { mergedWeights } from './mergedWeights.ts';
export { alone, type TokenFamily, type TokenSequence } from './packInput.ts';
export { type LoadOptions, loadModel, type ResidentModel } from './residentModel.ts';
export { isStepProgram, stepPart } from './stepPrograms.ts';
export { type PackContent, type PassOptions, type PassResult, TrainingPass } from './trainingPass.ts';
export type { ConversionRecipe, WeightCache } from './weightCache.ts';
