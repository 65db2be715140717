export { type ArchitectureName, architectures } from './architectures/index.ts';
export type { RawTensorReader } from './bitsandbytesParts.ts';
export { bitsandbytesWeights, isBitsandbytes } from './bitsandbytesWeights.ts';
export { configFromJson, type LlamaConfig, type RopeScaling } from './config.ts';
export { configFromGguf, type RopeFactors } from './ggufConfig.ts';
export { ggufWeights } from './ggufWeights.ts';
export { configKey, equalModels, goneBase, goneConfigKey } from './knownBases.ts';
export * from './llama.ts';
export {
  checkLoraConfig,
  hasEffect,
  initLora,
  type LoraConfig,
  type LoraLayout,
  type LoraTensor,
  loraLayout,
  loraScale,
  loraTensorName,
} from './lora.ts';
export { type Nf4Codes, nf4Block, readNf4 } from './nf4.ts';
export {
  type Adapter,
  adapterConfigJson,
  adapterWeights,
  checkAdapter,
  loraConfigFromJson,
  readAdapter,
} from './peft.ts';
export { checkQuantisationConfig } from './quantisationConfig.ts';
export { localRope, ropeFrequencies, ropeTables } from './rope.ts';
export {
  allRoles,
  biasedModules,
  expectedShape,
  extraVectors,
  huggingFaceWeights,
  type TensorReader,
  type WeightRole,
  type WeightSource,
} from './weights.ts';
