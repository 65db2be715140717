export {
  type BlockScales,
  dequantise4Bit,
  dequantise8Bit,
  dequantiseScales,
  type FourBitType,
  fourBitLevels,
  type NestedScales,
} from './bitsandbytes.ts';
export { badQuantisation, maxQuantState, parseQuantState, type QuantState } from './bitsandbytesState.ts';
export { encodeSafetensors, type SafetensorsDType, type TensorToEncode } from './encodeSafetensors.ts';
export { type GgufFile, openGguf } from './gguf.ts';
export { ggufLimits } from './ggufLimits.ts';
export type { GgufNumbers, GgufValue } from './ggufValue.ts';
export {
  type ExternalPart,
  encodeOnnx,
  type OnnxAttribute,
  type OnnxDType,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
} from './onnx.ts';
export { type Nf4Codes, nf4Block, quantiseNf4 } from './quantiseNf4.ts';
export { openSafetensors, type SafetensorsFile } from './safetensors.ts';
export {
  PieceType,
  parseSentencePieceModel,
  type SentencePieceModel,
  sentencePieceLimits,
} from './sentencePieceModel.ts';
export { openSharded, type ShardedFile } from './sharded.ts';
export { type OpenShard, openShardedSafetensors } from './shardedSafetensors.ts';
export { parseShardIndex, type ShardIndex } from './shardIndex.ts';
export type { RawTensorFile, TensorFile, TensorInfo } from './tensorFile.ts';
export { openTorchFile, type TorchFile } from './torchFile.ts';
export { readZipDirectory, type ZipEntry } from './zip.ts';
