// What a precision means for each matrix: in which basis its input arrives, in which its output is expected, and what
// is rotated on the fly. fp32 is the plain model, int4 and nf4 (QLoRA) the same with matrices in 4 bits. In int8 and w4a8 the
// residual stream itself lives in the rotated basis, so half of the rotations cost nothing; in int8 norm weights are folded
// into the matrices that follow.
import { type LlamaConfig, type ModuleName, moduleNames } from '../models/index.ts';
import {
  acrossMatrix,
  blockFor,
  blockRotation,
  fullRotation,
  hadamard,
  noRotation,
  type Rotation,
} from './rotation.ts';

export const precisions = ['fp32', 'int8', 'int4', 'nf4', 'w4a8'] as const;
export type Precision = (typeof precisions)[number];

export interface ModuleBasis {
  /** The input passes a norm whose weight is folded into the matrix. */
  foldsNorm: boolean;
  /**
   * What comes out of the norm is turned back into the plain model's basis and multiplied with the norm's weight. In 4 bits
   * that is worth its price: a norm's weights are small where the stream is largest, and the errors of a folded matrix
   * fall evenly on all of its inputs, the largest too (SmolLM2-135M, blocks of 32: loss +30 % folded, +19 % not).
   */
  restoresNorm: boolean;
  /** Rotation in which the input arrives. */
  input: Rotation;
  /** Largest magnitude expected in the input, for a fixed scale; 0: a scale for each row. */
  peak: number;
  /** Rotation in which the output is expected. */
  output: Rotation;
  /** Block by which the input is rotated just before it is quantised; 1: it is not. */
  rotateInput: number;
  /** Block by which the output's gradient is rotated just before it is quantised; 1: it is not. */
  rotateGrad: number;
  /** Block by which the matrix's own output is rotated, undone after the product (its gradient is, before); 1: it is not. */
  rotateOutput: number;
}

/**
 * What a projection is kept as. float: as in the file, in int4 and nf4 as codes that are expanded when used. twoCopies: int8 for the
 * forward pass, and in training again for the backward pass, each with scales in its own direction. oneCopy: int8 for both.
 * w4a8: 4 bits, expanded to int8 when used.
 */
export type Storage = 'float' | 'twoCopies' | 'oneCopy' | 'w4a8';

export interface Basis {
  precision: Precision;
  storage: Storage;
  /** Rotation of the residual stream. */
  residual: Rotation;
  modules: Readonly<Record<ModuleName, ModuleBasis>>;
}

/**
 * What comes out of RMSNorm (without its weight) has a mean square of exactly 1, and after a rotation over the whole width
 * it is close to normally distributed: one fixed scale serves all rows, and neither their maxima nor a product with row
 * scales has to be computed. 3.5 standard deviations lose as little as a scale a row does (gradient cosine 0.9940 against
 * 0.9943 on SmolLM2-135M); at 4 the coarser steps cost more than the rarer cuts save.
 */
export const normedPeak = 3.5;

/** Columns of a matrix that share a scale and an offset in int4: the block of GGUF's Q4_0 and Q4_1, 5 bits a weight in all. */
const int4Block = 32;
export const int4BlockFor = (width: number) => Math.min(int4Block, blockFor(width));

/**
 * Rows of a matrix that share a step in w4a8. 16 rows cost half a bit a weight and leave an error of 7.6 % (rms, normally
 * distributed weights); 32 rows would cost a quarter and leave 8.4 %. SmolLM2-135M: loss +12.6 % against +18.7 %, where
 * NF4 in blocks of 64, with exact activations, has +13.1 %.
 */
const w4a8Block = 16;
export const w4a8BlockFor = (width: number) => Math.min(w4a8Block, blockFor(width));

/**
 * Columns by which inputs are rotated before a 4-bit matrix. Longer blocks spread outliers better, shorter ones leave more
 * of the differences between rows to the steps: 16, 32, 64 columns have a loss of +14.5, +12.6, +15.0 %.
 */
const w4a8Rotation = 32;
const w4a8RotationFor = (width: number) => Math.min(w4a8Rotation, blockFor(width));

const plain: ModuleBasis = {
  foldsNorm: false,
  restoresNorm: false,
  input: noRotation,
  peak: 0,
  output: noRotation,
  rotateInput: 1,
  rotateGrad: 1,
  rotateOutput: 1,
};

export interface BasisOptions {
  /** One int8 copy of each matrix instead of two: half the memory, a little slower and less exact. w4a8 is always so. */
  oneCopy?: boolean;
  /** Gradients will be asked for (the default). */
  training?: boolean;
}

export function basisOf(precision: Precision, c: LlamaConfig, options: BasisOptions = {}): Basis {
  if (precision === 'fp32' || precision === 'int4' || precision === 'nf4') {
    const all = Object.fromEntries(moduleNames.map((m) => [m, plain])) as Record<ModuleName, ModuleBasis>;
    return { precision, storage: 'float', residual: noRotation, modules: all };
  }
  const storage = precision === 'w4a8' ? 'w4a8' : options.oneCopy ? 'oneCopy' : 'twoCopies';
  // A gradient is rotated either on its own, for a matrix of its own, or together with the output that it belongs to.
  const turned = (block: number) => {
    if (storage === 'twoCopies') return { rotateGrad: block };
    return { rotateOutput: options.training === false ? 1 : block };
  };
  const residual = fullRotation(c.hiddenSize);
  const head = blockRotation(c.headDim);
  const inner = blockFor(c.intermediateSize);
  const normed: ModuleBasis =
    storage === 'w4a8'
      ? { ...plain, restoresNorm: true, rotateInput: w4a8RotationFor(c.hiddenSize) }
      : { ...plain, foldsNorm: true, input: residual, peak: normedPeak };
  return {
    precision,
    storage,
    residual,
    modules: {
      q_proj: { ...normed, ...turned(head.block) },
      k_proj: { ...normed, ...turned(head.block) },
      // Values are rotated inside each head, which attention carries through to the input of o.
      v_proj: { ...normed, output: head },
      o_proj: { ...plain, input: head, output: residual },
      gate_proj: { ...normed, ...turned(inner) },
      up_proj: { ...normed, ...turned(inner) },
      down_proj: {
        ...plain,
        rotateInput: storage === 'w4a8' ? w4a8RotationFor(c.intermediateSize) : inner,
        output: residual,
      },
    },
  };
}

/** The matrices that programs take as inputs, [n, n] by name. */
export function rotationMatrices(basis: Basis): Map<string, { size: number; data: Float32Array }> {
  const made = new Map<string, { size: number; data: Float32Array }>();
  const addBlock = (block: number) => {
    if (block > 1) made.set(blockName(block), { size: block, data: hadamard(block) });
  };
  for (const m of Object.values(basis.modules)) {
    for (const r of [m.input, m.output]) {
      addBlock(r.block);
      if (r.across > 1) made.set(acrossName(r.across), { size: r.across, data: acrossMatrix(r.across) });
    }
    addBlock(m.rotateInput);
    addBlock(m.rotateGrad);
    addBlock(m.rotateOutput);
  }
  return made;
}

export const blockName = (block: number) => `rotation${block}`;
export const acrossName = (across: number) => `across${across}`;
