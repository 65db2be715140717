// What a precision means for each matrix: in which basis its input arrives, in which its output is expected, and what
// is rotated on the fly. fp32 is the plain model. In int8 the residual stream itself lives in the rotated basis
// (norm weights are folded into the matrices that follow), so half of the rotations cost nothing.
import { type LlamaConfig, moduleShape, type SiteName, sites } from '../models/index.ts';
import { blockFor } from './rotation.ts';

export const precisions = ['fp32', 'int8'] as const;
export type Precision = (typeof precisions)[number];

/** Blocks of 1 mean "not rotated". */
export interface SiteBasis {
  /** The site's input passes a norm whose weight is folded into the matrix. */
  foldsNorm: boolean;
  /** Block of the rotation in which the input arrives. */
  input: number;
  /** Block of the rotation in which each module's output is expected. */
  outputs: readonly number[];
  /** Block by which the input is rotated just before it is quantised. */
  rotateInput: number;
  /** Block by which the leading `columns` of the output's gradient are rotated before they are quantised. */
  rotateGrad: { block: number; columns: number };
}

export interface Basis {
  precision: Precision;
  /** Block of the residual stream's rotation. */
  residual: number;
  sites: Readonly<Record<SiteName, SiteBasis>>;
}

const none = { block: 1, columns: 0 };

export function basisOf(precision: Precision, c: LlamaConfig): Basis {
  if (precision === 'fp32') {
    const plain = (site: SiteName): SiteBasis => ({
      foldsNorm: false,
      input: 1,
      outputs: sites[site].modules.map(() => 1),
      rotateInput: 1,
      rotateGrad: none,
    });
    return {
      precision,
      residual: 1,
      sites: { qkv: plain('qkv'), o: plain('o'), gateUp: plain('gateUp'), down: plain('down') },
    };
  }
  const residual = blockFor(c.hiddenSize);
  const head = blockFor(c.headDim);
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
        outputs: [1, 1, head],
        rotateInput: 1,
        rotateGrad: { block: head, columns: queryKey },
      },
      o: { foldsNorm: false, input: head, outputs: [residual], rotateInput: 1, rotateGrad: none },
      gateUp: {
        foldsNorm: true,
        input: residual,
        outputs: [1, 1],
        rotateInput: 1,
        rotateGrad: { block: inner, columns: 2 * c.intermediateSize },
      },
      down: { foldsNorm: false, input: 1, outputs: [residual], rotateInput: inner, rotateGrad: none },
    },
  };
}

/** All block sizes for which a rotation matrix must be on the device. */
export function rotationBlocks(basis: Basis): number[] {
  const all = Object.values(basis.sites).flatMap((s) => [s.input, ...s.outputs, s.rotateInput, s.rotateGrad.block]);
  return [...new Set([basis.residual, ...all])].filter((b) => b > 1);
}
