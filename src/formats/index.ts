export { encodeSafetensors, type SafetensorsDType, type TensorToEncode } from './encodeSafetensors.ts';
export { type GgufFile, openGguf } from './gguf.ts';
export { ggufLimits } from './ggufLimits.ts';
export type { GgufNumbers, GgufValue } from './ggufValue.ts';
export {
  encodeOnnx,
  type OnnxAttribute,
  type OnnxDType,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
} from './onnx.ts';
export { openSafetensors, type SafetensorsFile } from './safetensors.ts';
export { type OpenShard, openShardedSafetensors, parseShardIndex } from './shardedSafetensors.ts';
export type { TensorFile, TensorInfo } from './tensorFile.ts';
export { readZipDirectory, type ZipEntry } from './zip.ts';
