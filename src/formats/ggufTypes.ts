// The tensor types of ggml and the shapes of their blocks: enum ggml_type and the block structs of ggml-common.h
// (https://github.com/ggml-org/ggml), and which of them can be turned into float32.
import { dequantiseIq4Nl, dequantiseIq4Xs } from './dequantiseIq4.ts';
import { dequantiseQ4K, dequantiseQ5K, dequantiseQ6K } from './dequantiseK.ts';
import { dequantiseQ4_0, dequantiseQ4_1, dequantiseQ5_0, dequantiseQ5_1, dequantiseQ8_0 } from './dequantiseLegacy.ts';
import { dequantiseQ2K, dequantiseQ3K } from './dequantiseLowK.ts';
import { plainCodecs } from './plainCodecs.ts';
import type { TensorCodec } from './storedTensors.ts';

export interface GgmlType {
  name: string;
  blockSize: number;
  blockBytes: number;
}

/** By number in the file. Numbers that are missing were withdrawn by ggml (4, 5, 31-33, 36-38). */
export const ggmlTypes: ReadonlyMap<number, GgmlType> = new Map(
  (
    [
      [0, 'F32', 1, 4],
      [1, 'F16', 1, 2],
      [2, 'Q4_0', 32, 18],
      [3, 'Q4_1', 32, 20],
      [6, 'Q5_0', 32, 22],
      [7, 'Q5_1', 32, 24],
      [8, 'Q8_0', 32, 34],
      [9, 'Q8_1', 32, 40],
      [10, 'Q2_K', 256, 84],
      [11, 'Q3_K', 256, 110],
      [12, 'Q4_K', 256, 144],
      [13, 'Q5_K', 256, 176],
      [14, 'Q6_K', 256, 210],
      [15, 'Q8_K', 256, 292],
      [16, 'IQ2_XXS', 256, 66],
      [17, 'IQ2_XS', 256, 74],
      [18, 'IQ3_XXS', 256, 98],
      [19, 'IQ1_S', 256, 50],
      [20, 'IQ4_NL', 32, 18],
      [21, 'IQ3_S', 256, 110],
      [22, 'IQ2_S', 256, 82],
      [23, 'IQ4_XS', 256, 136],
      [24, 'I8', 1, 1],
      [25, 'I16', 1, 2],
      [26, 'I32', 1, 4],
      [27, 'I64', 1, 8],
      [28, 'F64', 1, 8],
      [29, 'IQ1_M', 256, 56],
      [30, 'BF16', 1, 2],
      [34, 'TQ1_0', 256, 54],
      [35, 'TQ2_0', 256, 66],
      [39, 'MXFP4', 32, 17],
      [40, 'NVFP4', 64, 36],
      [41, 'Q1_0', 128, 18],
    ] as const
  ).map(([id, name, blockSize, blockBytes]) => [id, { name, blockSize, blockBytes }]),
);

const dequantisers: [string, TensorCodec['decode']][] = [
  ['Q4_0', dequantiseQ4_0],
  ['Q4_1', dequantiseQ4_1],
  ['Q5_0', dequantiseQ5_0],
  ['Q5_1', dequantiseQ5_1],
  ['Q8_0', dequantiseQ8_0],
  ['Q2_K', dequantiseQ2K],
  ['Q3_K', dequantiseQ3K],
  ['Q4_K', dequantiseQ4K],
  ['Q5_K', dequantiseQ5K],
  ['Q6_K', dequantiseQ6K],
  ['IQ4_NL', dequantiseIq4Nl],
  ['IQ4_XS', dequantiseIq4Xs],
];

const blockCodecs = new Map(dequantisers);

/** Type name -> decoder, for the types that can be read as float32. */
export const ggufCodecs: ReadonlyMap<string, TensorCodec> = new Map(
  [...ggmlTypes.values()].flatMap(({ name, blockSize, blockBytes }) => {
    const decode = blockCodecs.get(name);
    const codec = decode ? { blockSize, blockBytes, decode } : plainCodecs.get(name);
    return codec ? [[name, codec] as const] : [];
  }),
);
