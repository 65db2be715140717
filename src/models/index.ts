export { configFromGguf, configFromJson, type LlamaConfig, type RopeScaling } from './config.ts';
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
export {
  type Adapter,
  adapterConfigJson,
  adapterWeights,
  checkAdapter,
  loraConfigFromJson,
  readAdapter,
} from './peft.ts';
export { ropeFrequencies, ropeTables } from './rope.ts';
export {
  allRoles,
  expectedShape,
  ggufWeights,
  huggingFaceWeights,
  type TensorReader,
  type WeightRole,
  type WeightSource,
} from './weights.ts';
