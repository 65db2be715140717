export { type AdapterImage, adapterImage } from './adapterImage.ts';
export { dropoutMask } from './dropoutMask.ts';
export { InferencePass, type KvCache, type ResidentAdapter } from './inferencePass.ts';
export { int8IsExact } from './int8Probe.ts';
export type { TokenSequence } from './packInput.ts';
export { type LoadOptions, loadModel, type ResidentModel } from './residentModel.ts';
export { type PassResult, TrainingPass } from './trainingPass.ts';
