// Programs that turn a weight as it stands in the file into what a precision computes with. They run on the engine:
// rotating and quantising a 7B model is work for all cores.
import {
  concat,
  input,
  mul,
  type Program,
  program,
  quantizeRows,
  rotateBlocks,
  split,
  transpose,
  type Value,
} from '../graph/index.ts';
import { type LlamaConfig, moduleShape, type SiteName, siteShape, sites } from '../models/index.ts';
import type { Basis } from './precision.ts';

export const rotationName = (block: number) => `rotation${block}`;
export const rotationInput = (block: number): Value => input(rotationName(block), [block, block]);

/** One rotation input per block size: a program must not declare the same input twice. */
function rotations(): (x: Value, block: number, columns?: number) => Value {
  const made = new Map<number, Value>();
  return (x, block, columns) => {
    if (block <= 1) return x;
    let r = made.get(block);
    if (!r) {
      r = rotationInput(block);
      made.set(block, r);
    }
    return rotateBlocks(x, r, columns);
  };
}

/**
 * int8 form of a site's matrix: inputs `weight` [out, in] as in the file and, where folded, `norm` [in];
 * outputs `w` int8 [in, out] with `scale` [out], and for training `wT` int8 [out, in] with `scaleT` [in].
 */
export function quantizeSiteProgram(c: LlamaConfig, basis: Basis, site: SiteName, training: boolean): Program {
  const spec = basis.sites[site];
  const shape = siteShape(c, site);
  const rotate = rotations();
  let w = input('weight', [shape.out, shape.in]);
  if (spec.foldsNorm) w = mul(w, input('norm', [shape.in]));
  w = rotate(w, spec.input);
  const parts = split(
    transpose(w, [1, 0]),
    sites[site].modules.map((m) => moduleShape(c, m).out),
  );
  const columns = concat(
    parts.map((p, i) => rotate(p, spec.outputs[i]!)),
    -1,
  ); // [in, out]
  const forward = quantizeRows(rotate(transpose(columns, [1, 0]), spec.rotateInput));
  const outputs: Record<string, Value> = { w: transpose(forward.codes, [1, 0]), scale: forward.scale };
  if (training) {
    const backward = quantizeRows(rotate(columns, spec.rotateGrad.block, spec.rotateGrad.columns));
    outputs.wT = transpose(backward.codes, [1, 0]);
    outputs.scaleT = backward.scale;
  }
  return program(`prepare.${site}`, outputs);
}

/**
 * int8 form of the output head: inputs `weight` [vocab, hidden], `norm` [hidden]; outputs `w` int8 [hidden, vocab],
 * `scale` [vocab], and for training `float` [vocab, hidden]: the backward pass stays exact there, because the peak of
 * softmax - onehot would eat the 8 bits of its row.
 */
export function quantizeHeadProgram(c: LlamaConfig, basis: Basis, training: boolean): Program {
  const folded = mul(input('weight', [c.vocabSize, c.hiddenSize]), input('norm', [c.hiddenSize]));
  const w = rotations()(folded, basis.residual);
  const { codes, scale } = quantizeRows(w);
  return program('prepare.head', { w: transpose(codes, [1, 0]), scale, ...(training ? { float: w } : {}) });
}

/** The embedding in the residual stream's basis: `weight` [rows, hidden] to `rotated`. */
export function rotateEmbeddingProgram(c: LlamaConfig, basis: Basis): Program {
  return program('prepare.embedding', {
    rotated: rotations()(input('weight', ['rows', c.hiddenSize]), basis.residual),
  });
}
