// Programs that turn a weight as it stands in the file into what a precision computes with. They run on the engine:
// rotating and quantising a 7B model is work for all cores.
import {
  type Dim,
  input,
  matmul,
  mul,
  type Program,
  program,
  quantizeRows,
  reshape,
  rotateBlocks,
  scaleDim,
  transpose,
  type Value,
} from '../graph/index.ts';
import { type LlamaConfig, type ModuleName, moduleShape } from '../models/index.ts';
import { acrossName, type Basis, blockName } from './precision.ts';
import type { Rotation } from './rotation.ts';

/** A rotation matrix as a program's input. */
export const blockInput = (block: number): Value => input(blockName(block), [block, block]);

/** Rotates the last axis of x [rows, width]. One input per matrix: a program must not declare the same one twice. */
class Rotator {
  private readonly inputs = new Map<string, Value>();

  private matrix(name: string, size: number): Value {
    let made = this.inputs.get(name);
    if (!made) {
      made = input(name, [size, size]);
      this.inputs.set(name, made);
    }
    return made;
  }

  rotate(x: Value, r: Rotation): Value {
    const inside = this.blocks(x, r.block);
    if (r.across === 1) return inside;
    // [rows, width] as [rows * groups, across, block]: the middle axis is mixed.
    const [rows, width] = x.shape as [Dim, number];
    const groups = width / (r.block * r.across);
    const cut = reshape(inside, [scaleDim(rows, groups), r.across, r.block]);
    const mixed = matmul(transpose(cut, [0, 2, 1]), this.matrix(acrossName(r.across), r.across));
    return reshape(transpose(mixed, [0, 2, 1]), x.shape);
  }

  blocks(x: Value, block: number): Value {
    return block > 1 ? rotateBlocks(x, this.matrix(blockName(block), block)) : x;
  }
}

/**
 * int8 form of a projection: inputs `weight` [out, in] as in the file and, where folded, `norm` [in];
 * outputs `w` int8 [in, out] with `scale` [out], and for training `wT` int8 [out, in] with `scaleT` [in].
 */
export function quantizeModuleProgram(c: LlamaConfig, basis: Basis, module: ModuleName, training: boolean): Program {
  const spec = basis.modules[module];
  const shape = moduleShape(c, module);
  const rotator = new Rotator();
  let w = input('weight', [shape.out, shape.in]);
  if (spec.foldsNorm) w = mul(w, input('norm', [shape.in]));
  w = rotator.rotate(w, spec.input);
  const columns = rotator.rotate(transpose(w, [1, 0]), spec.output); // [in, out]
  const forward = quantizeRows(rotator.blocks(transpose(columns, [1, 0]), spec.rotateInput));
  const outputs: Record<string, Value> = { w: transpose(forward.codes, [1, 0]), scale: forward.scale };
  if (training) {
    const backward = quantizeRows(rotator.blocks(columns, spec.rotateGrad));
    outputs.wT = transpose(backward.codes, [1, 0]);
    outputs.scaleT = backward.scale;
  }
  return program(`prepare.${module}`, outputs);
}

/**
 * int8 form of the output head: inputs `weight` [vocab, hidden], `norm` [hidden]; outputs `w` int8 [hidden, vocab],
 * `scale` [vocab], and for training `float` [vocab, hidden]: the backward pass stays exact there, because the peak of
 * softmax - onehot would eat the 8 bits of its row.
 */
export function quantizeHeadProgram(c: LlamaConfig, basis: Basis, training: boolean): Program {
  const folded = mul(input('weight', [c.vocabSize, c.hiddenSize]), input('norm', [c.hiddenSize]));
  const w = new Rotator().rotate(folded, basis.residual);
  const { codes, scale } = quantizeRows(w);
  return program('prepare.head', { w: transpose(codes, [1, 0]), scale, ...(training ? { float: w } : {}) });
}

/** The embedding in the residual stream's basis: `weight` [rows, hidden] to `rotated`. */
export function rotateEmbeddingProgram(c: LlamaConfig, basis: Basis): Program {
  return program('prepare.embedding', {
    rotated: new Rotator().rotate(input('weight', ['rows', c.hiddenSize]), basis.residual),
  });
}
