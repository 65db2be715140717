// What a run of a program takes besides its inputs and outputs: the largest sum of intermediate values that live at the same
// time, in the order in which the program is emitted.
import { invariant } from '../base/index.ts';
import type { Program } from './program.ts';
import { resolveDim, resolveShape, type Shape } from './shape.ts';
import { type DType, inputName, type Node, topological, type Value } from './value.ts';

export const dtypeBytes: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
};

export type Sizes = Readonly<Record<string, number>>;

/** The sizes behind a program's symbols, from the shapes that its inputs are bound to. */
export function symbolSizes(program: Program, bound: Readonly<Record<string, { shape: readonly number[] }>>): Sizes {
  const sizes: Record<string, number> = {};
  for (const v of program.inputs) {
    const shape = bound[inputName(v)]?.shape;
    v.shape.forEach((d, i) => {
      if (typeof d === 'string' && /^\w+$/.test(d) && shape) sizes[d] ??= shape[i]!;
    });
  }
  return sizes;
}

const count = (shape: Shape, sizes: Sizes) => resolveShape(shape, sizes).reduce((a, b) => a * b, 1);

/** Bytes of a value. */
export const valueBytes = (v: Value, sizes: Sizes) => count(v.shape, sizes) * dtypeBytes[v.dtype];

/**
 * Bytes that the kernels of an op take inside, beside its inputs and outputs: an estimate, see emit.ts for what each is made
 * of. Ops that are one kernel take nothing.
 */
function inside({ op, inputs, outputs, attrs }: Node, sizes: Sizes): number {
  const elements = (v: Value | undefined) => (v ? count(v.shape, sizes) : 0);
  switch (op) {
    // The rotated input, its codes, and (with scales a row) the product before they are multiplied in.
    case 'int8Linear':
      return elements(inputs[0]) * (attrs.rotateInput ? 5 : 1);
    // Shifted and masked bytes, levels as float32, and what the arena loses between matrices of several sizes: measured.
    case 'expandBlocks4':
      return elements(outputs[0]) * 11;
    case 'unpackInt4':
      return elements(outputs[0]) * 3;
    case 'quantizeInt4':
      return elements(inputs[0]) * 12;
    case 'quantizeBlocks4':
      return elements(inputs[0]) * 8;
    case 'rotary':
      return elements(outputs[0]) * 4;
    case 'headGrad': {
      const [rows, columns, width] = [
        resolveDim(inputs[0]!.shape[0]!, sizes),
        Number(attrs.columns),
        Number(inputs[3]!.shape[1]),
      ];
      return 4 * columns * (rows + width) + columns * width;
    }
    case 'sumRepeated':
      return 2 * 4 * elements(inputs[3]) * Number(inputs[0]!.shape[1]);
    default:
      return 0;
  }
}

/** A reshape is the same memory. */
const owner = (v: Value): Value => (v.node.op === 'reshape' ? owner(v.node.inputs[0]!) : v);

/** Peak bytes of intermediate values in one run. @param sizes of the symbols, see `symbolSizes`. */
export function programMemory(program: Program, sizes: Sizes): number {
  const order = topological(Object.values(program.outputs));
  const elsewhere = new Set<Value>([...program.inputs, ...Object.values(program.outputs).map(owner)]);
  const lastUse = new Map<Value, number>();
  order.forEach((node, at) => {
    for (const v of node.inputs) lastUse.set(owner(v), at);
    for (const v of node.outputs) if (!lastUse.has(owner(v))) lastUse.set(owner(v), at);
  });
  const ends = new Map<number, Value[]>();
  for (const [v, at] of lastUse) ends.set(at, [...(ends.get(at) ?? []), v]);
  let live = 0;
  let peak = 0;
  order.forEach((node, at) => {
    if (node.op !== 'input' && node.op !== 'reshape') {
      for (const v of node.outputs) if (!elsewhere.has(v)) live += valueBytes(v, sizes);
      peak = Math.max(peak, live + inside(node, sizes));
    }
    for (const v of ends.get(at) ?? []) if (!elsewhere.has(v) && v.node.op !== 'input') live -= valueBytes(v, sizes);
  });
  invariant(live >= 0, `${program.name}: more was given back than taken`);
  return peak;
}
