// Programs that turn a weight as it stands in the file into what a precision computes with. They run on the engine:
// rotating and quantising a 7B model is work for all cores.
import {
  type Dim,
  input,
  matmul,
  mul,
  type Program,
  program,
  quantizeBlocks4,
  quantizeInt4,
  quantizeRows,
  reduceSum,
  reshape,
  rotateBlocks,
  scaleDim,
  transpose,
  type Value,
} from '../graph/index.ts';
import { type LlamaConfig, type ModuleName, moduleShape } from '../models/index.ts';
import { acrossName, type Basis, blockName, int4BlockFor, w4a8BlockFor } from './precision.ts';
import type { Rotation } from './rotation.ts';

/**
 * Rotates the last axis of x [rows, width] in a program. The matrices are inputs, one each: a program must not declare the
 * same one twice.
 */
export class Rotator {
  private readonly inputs = new Map<string, Value>();

  /** The matrix of a block, [block, block]. */
  block(block: number): Value {
    return this.matrix(blockName(block), block);
  }

  private matrix(name: string, size: number): Value {
    let made = this.inputs.get(name);
    if (!made) {
      made = input(name, [size, size]);
      this.inputs.set(name, made);
    }
    return made;
  }

  /** @param options.again a backward pass that needs what comes out rotates again, instead of keeping it. */
  rotate(x: Value, r: Rotation, options: { again?: boolean } = {}): Value {
    const inside = this.blocks(x, r.block, options);
    if (r.across === 1) return inside;
    // [rows, width] as [rows * groups, across, block]: the middle axis is mixed.
    const [rows, width] = x.shape as [Dim, number];
    const groups = width / (r.block * r.across);
    const cut = reshape(inside, [scaleDim(rows, groups), r.across, r.block]);
    const mixed = matmul(transpose(cut, [0, 2, 1]), this.matrix(acrossName(r.across), r.across), options);
    return reshape(transpose(mixed, [0, 2, 1]), x.shape);
  }

  blocks(x: Value, block: number, options: { again?: boolean } = {}): Value {
    return block > 1 ? rotateBlocks(x, this.block(block), options) : x;
  }
}

/**
 * Quantised form of a projection: inputs `weight` [out, in] as in the file and, where folded, `norm` [in]; outputs `w` int8
 * [in, out] with `scale` [out], and for training with two copies `wT` int8 [out, in] with `scaleT` [in]. In w4a8 the
 * outputs are `packed`, `steps` and `scale` of `quantizeInt4`.
 */
export function quantizeModuleProgram(c: LlamaConfig, basis: Basis, module: ModuleName, training: boolean): Program {
  const spec = basis.modules[module];
  const shape = moduleShape(c, module);
  const rotator = new Rotator();
  let w = input('weight', [shape.out, shape.in]);
  if (spec.foldsNorm) w = mul(w, input('norm', [shape.in]));
  w = rotator.rotate(w, spec.input);
  const columns = rotator.rotate(transpose(w, [1, 0]), spec.output); // [in, out]
  const turned = rotator.blocks(columns, spec.rotateOutput);
  const rows = rotator.blocks(transpose(turned, [1, 0]), spec.rotateInput);
  if (basis.storage === 'w4a8') {
    return program(`prepare.${module}`, { ...quantizeInt4(transpose(rows, [1, 0]), w4a8BlockFor(shape.in)) });
  }
  const forward = quantizeRows(rows);
  const outputs: Record<string, Value> = { w: transpose(forward.codes, [1, 0]), scale: forward.scale };
  if (training && basis.storage === 'twoCopies') {
    const backward = quantizeRows(rotator.blocks(columns, spec.rotateGrad));
    outputs.wT = transpose(backward.codes, [1, 0]);
    outputs.scaleT = backward.scale;
  }
  return program(`prepare.${module}`, outputs);
}

/** int4 form of a projection as it stands in the file: `weight` [out, in] to `packed`, `scale`, `offset` of `quantizeBlocks4`. */
export function quantizeInt4Program(c: LlamaConfig, module: ModuleName): Program {
  const shape = moduleShape(c, module);
  const blocks = quantizeBlocks4(input('weight', [shape.out, shape.in]), int4BlockFor(shape.in));
  return program(`prepare.${module}`, { ...blocks });
}

/**
 * int8 form of the output head's rows: inputs `weight` [rows, hidden], `norm` [hidden]; outputs `codes` int8 [rows, hidden],
 * `scale` [rows, 1] and the `sum` of the rows [1, hidden].
 */
export function quantizeHeadProgram(c: LlamaConfig, basis: Basis): Program {
  const folded = mul(input('weight', ['rows', c.hiddenSize]), input('norm', [c.hiddenSize]));
  const w = new Rotator().rotate(folded, basis.residual);
  const { codes, scale } = quantizeRows(w);
  return program('prepare.head', { codes, scale: reshape(scale, ['rows', 1]), sum: reduceSum(w, [0]) });
}

/** `codes` [vocab, hidden] to `w` [hidden, vocab], which products are faster with. */
export function turnHeadProgram(c: LlamaConfig): Program {
  return program('prepare.head.turn', { w: transpose(input('codes', [c.vocabSize, c.hiddenSize], 'int8'), [1, 0]) });
}

/**
 * The embedding in the residual stream's basis: `weight` [rows, hidden] to `table` [rows, hidden]: float32 with two copies of
 * the matrices, int8 with `tableScale` [rows] where memory counts.
 */
export function embeddingProgram(c: LlamaConfig, basis: Basis): Program {
  const table = new Rotator().rotate(input('weight', ['rows', c.hiddenSize]), basis.residual);
  if (basis.storage === 'twoCopies') return program('prepare.embedding', { table });
  const { codes, scale } = quantizeRows(table);
  return program('prepare.embedding', { table: codes, tableScale: reshape(scale, ['rows', 1]) });
}
