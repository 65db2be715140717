// What a precision means for each matrix: in which basis its input arrives, in which its output is expected, and what
// is rotated on the fly. fp32 is the plain model. In int8 the residual stream itself lives in the rotated basis
// (norm weights are folded into the matrices that follow), so half of the rotations cost nothing.
import { type LlamaConfig, moduleShape, type SiteName, sites } from '../models/index.ts';
import {
  acrossMatrix,
  blockFor,
  blockRotation,
  fullRotation,
  hadamard,
  noRotation,
  type Rotation,
} from './rotation.ts';

export const precisions = ['fp32', 'int8'] as const;
export type Precision = (typeof precisions)[number];

export interface SiteBasis {
  /** The site's input passes a norm whose weight is folded into the matrix. */
  foldsNorm: boolean;
  /** Rotation in which the input arrives. */
  input: Rotation;
  /** Largest magnitude expected in the input, for a fixed scale; 0: a scale for each row. */
  peak: number;
  /** Rotation in which each module's output is expected. */
  outputs: readonly Rotation[];
  /** Block by which the input is rotated just before it is quantised; 1: it is not. */
  rotateInput: number;
  /** Block by which the leading `columns` of the output's gradient are rotated before they are quantised. */
  rotateGrad: { block: number; columns: number };
}

export interface Basis {
  precision: Precision;
  /** Rotation of the residual stream. */
  residual: Rotation;
  sites: Readonly<Record<SiteName, SiteBasis>>;
}

/**
 * What comes out of RMSNorm (without its weight) has a mean square of exactly 1, and after a rotation over the whole width
 * it is close to normally distributed: one fixed scale serves all rows, and neither their maxima nor a product with row
 * scales has to be computed. 3.5 standard deviations lose as little as a scale a row does (gradient cosine 0.9940 against
 * 0.9943 on SmolLM2-135M); at 4 the coarser steps cost more than the rarer cuts save.
 */
export const normedPeak = 3.5;

const none = { block: 1, columns: 0 };

export function basisOf(precision: Precision, c: LlamaConfig): Basis {
  if (precision === 'fp32') {
    const plain = (site: SiteName): SiteBasis => ({
      foldsNorm: false,
      input: noRotation,
      peak: 0,
      outputs: sites[site].modules.map(() => noRotation),
      rotateInput: 1,
      rotateGrad: none,
    });
    return {
      precision,
      residual: noRotation,
      sites: { qkv: plain('qkv'), o: plain('o'), gateUp: plain('gateUp'), down: plain('down') },
    };
  }
  const residual = fullRotation(c.hiddenSize);
  const head = blockRotation(c.headDim);
  const inner = blockFor(c.intermediateSize);
  const queryKey = moduleShape(c, 'q_proj').out + moduleShape(c, 'k_proj').out;
  return {
    precision,
    residual,
    sites: {
      // Values are rotated inside each head, which attention carries through to the input of o.
      qkv: {
        foldsNorm: true,
        input: residual,
        peak: normedPeak,
        outputs: [noRotation, noRotation, head],
        rotateInput: 1,
        rotateGrad: { block: head.block, columns: queryKey },
      },
      o: { foldsNorm: false, input: head, peak: 0, outputs: [residual], rotateInput: 1, rotateGrad: none },
      gateUp: {
        foldsNorm: true,
        input: residual,
        peak: normedPeak,
        outputs: [noRotation, noRotation],
        rotateInput: 1,
        rotateGrad: { block: inner, columns: 2 * c.intermediateSize },
      },
      down: { foldsNorm: false, input: noRotation, peak: 0, outputs: [residual], rotateInput: inner, rotateGrad: none },
    },
  };
}

/** The matrices that programs take as inputs, [n, n] by name. */
export function rotationMatrices(basis: Basis): Map<string, { size: number; data: Float32Array }> {
  const made = new Map<string, { size: number; data: Float32Array }>();
  const addBlock = (block: number) => {
    if (block > 1) made.set(blockName(block), { size: block, data: hadamard(block) });
  };
  for (const s of Object.values(basis.sites)) {
    for (const r of [s.input, ...s.outputs]) {
      addBlock(r.block);
      if (r.across > 1) made.set(acrossName(r.across), { size: r.across, data: acrossMatrix(r.across) });
    }
    addBlock(s.rotateInput);
    addBlock(s.rotateGrad.block);
  }
  return made;
}

export const blockName = (block: number) => `rotation${block}`;
export const acrossName = (across: number) => `across${across}`;
