// A shape whose widths are not powers of two: 48 = 16 x 3, 160 = 32 x 5, so that every part of a rotation is used.
import type { LlamaConfig } from '../../src/models/index.ts';

export const oddWidths: LlamaConfig = {
  hiddenSize: 48,
  intermediateSize: 160,
  layers: 2,
  heads: 6,
  kvHeads: 2,
  headDim: 16,
  vocabSize: 300,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  maxPositions: 512,
  tiedHead: true,
};
