// A program -> ONNX bytes. One row an op; contrib ops (com.microsoft) where onnxruntime has a fused kernel.
// Kernel list: https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md
import { invariant } from '../base/index.ts';
import { type ExternalPart, encodeOnnx } from '../formats/index.ts';
import { decodeRules } from './emitDecode.ts';
import { type EmitRule, Emitter, flag, type OnnxAttrs, simple } from './emitter.ts';
import type { Program } from './program.ts';
import { int4Steps } from './quantisedOps.ts';
import type { Dim, Shape } from './shape.ts';
import { type Attrs, inputName, isInput, topological, type Value } from './value.ts';

/** A Reshape target: a symbol that stays in its place is 0, one other is inferred (-1), more are read from x's shape. */
function reshapeTarget(e: Emitter, x: string, from: Shape, to: readonly Dim[]): string {
  const target = to.map((d, i) => (typeof d === 'number' ? d : from[i] === d ? 0 : -1));
  if (target.filter((d) => d === -1).length <= 1) return e.ints(target);
  const sizes = e.node('Shape', [x]);
  const parts = to.map((d) => {
    if (typeof d === 'number') return e.ints([d]);
    invariant(from.includes(d), `reshape [${from}] to [${to}] has several sizes to infer, ${d} among them`);
    return e.node('Gather', [sizes, e.ints([from.indexOf(d)])]);
  });
  return e.node('Concat', parts, { axis: { int: 0 } });
}

/** The step of each row's 8 bits, max|x| / 127, as [rows, 1]. Two reductions read x twice; Abs would also write it once. */
function rowScale(e: Emitter, x: string): string {
  const high = e.node('ReduceMax', [x, e.ints([1])], { keepdims: { int: 1 } });
  const low = e.node('ReduceMin', [x, e.ints([1])], { keepdims: { int: 1 } });
  const peak = e.node('Max', [high, e.node('Neg', [low])]);
  return e.node('Max', [e.node('Mul', [peak, e.float(1 / 127)]), e.float(1e-30)]);
}

/** Rows of x as unsigned bytes around 128, and the row scales: [rows, n] uint8, [rows, 1]. */
function quantizeActivation(e: Emitter, x: string): { codes: string; column: string } {
  const column = rowScale(e, x);
  const flat = e.node('Reshape', [column, e.ints([-1])]);
  const zeroPoint = e.node('Expand', [e.byte(128), e.node('Shape', [flat])]);
  return { codes: e.node('QuantizeLinear', [x, flat, zeroPoint], { axis: { int: 0 } }), column };
}

/** Blocks of the last axis times a matrix. */
function rotated(e: Emitter, x: string, rotation: string, block: number, width: number): string {
  const blocks = e.node('Reshape', [x, e.ints([-1, block])]);
  return e.node('Reshape', [e.node('MatMul', [blocks, rotation]), e.ints([-1, width])]);
}

/** Attributes of Cast, with ONNX's numbers for the types. */
const toUint8 = { to: { int: 2 } };
const toInt8 = { to: { int: 3 } };
const toFloat32 = { to: { int: 1 } };
const toFloat16 = { to: { int: 10 } };

/** Attributes of MatMulBnb4 for a matrix [n, k]. */
const bnb4 = (attrs: Attrs, n: unknown, k: unknown): OnnxAttrs => ({
  N: { int: Number(n) },
  K: { int: Number(k) },
  block_size: { int: Number(attrs.block) },
  quant_type: { int: 1 }, // NF4
});

/** Sizes tried for the step of a block of 4-bit codes, as parts of its largest magnitude / 8. */
const stepSizes = [0.85, 0.95, 1.05];

/** Blocks [blocks, block, out] in units of the columns' scales as 4 bits: levels of the same shape, steps [blocks, 1, out]. */
function quantizeBlocks(e: Emitter, x: string, peak: string): { levels: string; steps: string } {
  const levelsOf = (step: string) => {
    return e.node('Clip', [e.node('Round', [e.node('Div', [x, step])]), e.float(-8), e.float(7)]);
  };
  const sign = e.node('Where', [e.node('Greater', [peak, e.float(0)]), e.float(-1), e.float(1)]);
  const ideal = e.node('Mul', [e.node('Abs', [peak]), e.float(1 / 8)]);
  let best: { step: string; error: string } | undefined;
  for (const size of stepSizes) {
    const whole = e.node('Round', [e.node('Mul', [ideal, e.float(size)])]);
    const step = e.node('Mul', [sign, e.node('Clip', [whole, e.float(1), e.float(int4Steps)])]);
    const left = e.node('Sub', [x, e.node('Mul', [levelsOf(step), step])]);
    const error = e.node('ReduceSum', [e.node('Mul', [left, left]), e.ints([1])], { keepdims: { int: 1 } });
    best = best
      ? {
          step: e.node('Where', [e.node('Less', [error, best.error]), step, best.step]),
          error: e.node('Min', [error, best.error]),
        }
      : { step, error };
  }
  return { levels: levelsOf(best!.step), steps: best!.step };
}

const emitRules: Record<string, EmitRule> = {
  ...decodeRules,
  scalar: (e, node, _inputs, outputs) => {
    e.nodeInto('Identity', [e.float(node.attrs.value as number)], outputs);
  },
  add: simple('Add'),
  sub: simple('Sub'),
  mul: simple('Mul'),
  sigmoid: simple('Sigmoid'),
  silu: simple('QuickGelu', { alpha: { float: 1 } }, 'com.microsoft'),
  softmax: simple('Softmax', { axis: { int: -1 } }),

  softmaxMatmul: (e, _node, [scores, values], [y, probs]) => {
    e.nodeInto('Softmax', [scores!], [probs!], { axis: { int: -1 } });
    e.nodeInto('MatMul', [probs!, values!], [y!]);
  },

  matmul: (e, { attrs }, inputs, outputs) => {
    const { transA, transB, alpha } = attrs;
    if (!transA && !transB && alpha === 1) e.nodeInto('MatMul', inputs, outputs);
    else {
      const fused = { transA: flag(transA), transB: flag(transB), alpha: { float: alpha as number } };
      e.nodeInto('FusedMatMul', inputs, outputs, fused, 'com.microsoft');
    }
  },

  addmm: (e, { attrs }, [c, a, b], outputs) => {
    e.nodeInto('Gemm', [a!, b!, c!], outputs, { transA: flag(attrs.transA), transB: flag(attrs.transB) });
  },

  int8Linear: (e, node, [x, w, scale, rotation], outputs) => {
    const [first, , , matrix] = node.inputs;
    const block = Number(matrix?.shape[0]);
    const turned = node.attrs.rotateInput ? rotated(e, x!, rotation!, block, Number(first!.shape[1])) : x!;
    const product = (codes: string, rowScale: string) =>
      ['MatMulIntegerToFloat', [codes, w!, rowScale, scale!, e.byte(128)]] as const;
    const peak = node.attrs.peak as number;
    if (peak > 0) {
      const step = e.float(peak / 127);
      const codes = e.node('QuantizeLinear', [turned, step, e.byte(128)]);
      e.nodeInto(...product(codes, step), outputs, {}, 'com.microsoft');
    } else {
      const { codes, column } = quantizeActivation(e, turned);
      e.nodeInto('Mul', [e.node(...product(codes, e.float(1)), {}, 'com.microsoft'), column], outputs);
    }
  },

  quantizeRows: (e, _node, [x], outputs) => {
    e.nodeInto('Reshape', [rowScale(e, x!), e.ints([-1])], [outputs[1]!]);
    e.nodeInto('QuantizeLinear', [x!, outputs[1]!], [outputs[0]!], { axis: { int: 0 }, output_dtype: { int: 3 } });
  },

  dequantizeRows: simple('DequantizeLinear', { axis: { int: 0 } }),

  quantizeInt4: (e, node, [x], [packed, steps, scale]) => {
    const [rows, out] = node.inputs[0]!.shape as [number, number];
    const block = node.attrs.block as number;
    const blocks = e.node('Reshape', [x!, e.ints([rows / block, block, out])]);
    const high = e.node('ReduceMax', [blocks, e.ints([1])], { keepdims: { int: 1 } });
    const low = e.node('ReduceMin', [blocks, e.ints([1])], { keepdims: { int: 1 } });
    const peak = e.node('Where', [e.node('Greater', [high, e.node('Neg', [low])]), high, low]);
    const most = e.node('ReduceMax', [e.node('Abs', [peak]), e.ints([0, 1])], { keepdims: { int: 0 } });
    const unit = e.node('Mul', [most, e.float(1 / (8 * int4Steps))]);
    e.nodeInto('Max', [unit, e.float(1e-30)], [scale!]);
    const made = quantizeBlocks(e, e.node('Div', [blocks, scale!]), e.node('Div', [peak, scale!]));
    const shifted = e.node('Cast', [e.node('Add', [made.levels, e.float(8)])], toUint8);
    const halves = [e.fresh(), e.fresh()];
    const flat = e.node('Reshape', [shifted, e.ints([rows, out])]);
    e.nodeInto('Split', [flat, e.ints([rows / 2, rows / 2])], halves, { axis: { int: 0 } });
    e.nodeInto('Add', [halves[0]!, e.node('Mul', [halves[1]!, e.byte(16)])], [packed!]);
    const whole = e.node('Cast', [made.steps], toInt8);
    e.nodeInto('Reshape', [whole, e.ints([rows / block, out])], [steps!]);
  },

  unpackInt4: (e, node, [packed, steps], outputs) => {
    const [half, out] = node.inputs[0]!.shape as [number, number];
    const blocks = Number(node.inputs[1]!.shape[0]);
    // Low and high halves below each other in one go: shifted by nothing and by four.
    const shifted = e.node('BitShift', [packed!, e.bytes([2, 1, 1], [0, 4])], { direction: { string: 'RIGHT' } });
    const levels = e.node('Cast', [e.node('BitwiseAnd', [shifted, e.byte(15)])], toInt8);
    const signed = e.node('Sub', [levels, e.code(8)]);
    const cut = e.node('Reshape', [signed, e.ints([blocks, (2 * half) / blocks, out])]);
    const codes = e.node('Mul', [cut, e.node('Reshape', [steps!, e.ints([blocks, 1, out])])]);
    e.nodeInto('Reshape', [codes, e.ints([2 * half, out])], outputs);
  },

  quantizeBlocks4: (e, node, [x], [packed, scale, offset]) => {
    const [out, width] = node.inputs[0]!.shape as [number, number];
    const block = node.attrs.block as number;
    const blocks = e.node('Reshape', [x!, e.ints([out, width / block, block])]);
    const extreme = (op: string) => e.node(op, [blocks, e.ints([2])], { keepdims: { int: 1 } });
    const low = extreme('ReduceMin');
    const step = e.node('Mul', [e.node('Sub', [extreme('ReduceMax'), low]), e.float(1 / 15)]);
    // Codes are chosen for the scale and offset as they are stored.
    const stored = [step, low].map((v) => e.node('Cast', [v], toFloat16));
    const [d, m] = stored.map((v) => e.node('Cast', [v], toFloat32));
    const levels = e.node('Round', [e.node('Div', [e.node('Sub', [blocks, m!]), e.node('Max', [d!, e.float(1e-30)])])]);
    const codes = e.node('Cast', [e.node('Clip', [levels, e.float(0), e.float(15)])], toUint8);
    const halves = [e.fresh(), e.fresh()];
    const flat = e.node('Reshape', [codes, e.ints([out, width])]);
    e.nodeInto('Split', [flat, e.ints([out / 2, out / 2])], halves, { axis: { int: 0 } });
    e.nodeInto('Add', [halves[0]!, e.node('Mul', [halves[1]!, e.byte(16)])], [packed!]);
    e.nodeInto('Reshape', [stored[0]!, e.ints([out, width / block])], [scale!]);
    e.nodeInto('Reshape', [stored[1]!, e.ints([out, width / block])], [offset!]);
  },

  expandBlocks4: (e, node, [packed, scale, offset], outputs) => {
    const [half, width] = node.inputs[0]!.shape as [number, number];
    const blocks = Number(node.inputs[1]!.shape[1]);
    const shifted = e.node('BitShift', [packed!, e.bytes([2, 1, 1], [0, 4])], { direction: { string: 'RIGHT' } });
    const levels = e.node('Cast', [e.node('BitwiseAnd', [shifted, e.byte(15)])], toFloat32);
    const cut = e.node('Reshape', [levels, e.ints([2 * half, blocks, width / blocks])]);
    const each = (v: string) => e.node('Reshape', [e.node('Cast', [v], toFloat32), e.ints([2 * half, blocks, 1])]);
    const values = e.node('Add', [e.node('Mul', [cut, each(scale!)]), each(offset!)]);
    e.nodeInto('Reshape', [values, e.ints([2 * half, width])], outputs);
  },

  nf4Linear: (e, { attrs }, [x, codes, scales], outputs) => {
    e.nodeInto('MatMulBnb4', [x!, codes!, scales!], outputs, bnb4(attrs, attrs.out, attrs.in), 'com.microsoft');
  },

  // The kernel expands before it multiplies. As one column, times 1, the flattened matrix comes out as it is; expanding
  // with other ops would need an index of 32 bits for each code. (Its transB = 0 is of no use: onnxruntime 1.30
  // computes the transposed product all the same.)
  expandNf4: (e, { attrs }, [codes, scales], outputs) => {
    const [out, inner] = [Number(attrs.out), Number(attrs.in)];
    const flat = e.node('MatMulBnb4', [e.one(), codes!, scales!], bnb4(attrs, out * inner, 1), 'com.microsoft');
    e.nodeInto('Reshape', [flat, e.ints([out, inner])], outputs);
  },

  reshape: (e, node, [x], outputs) => {
    const target = reshapeTarget(e, x!, node.inputs[0]!.shape, node.attrs.shape as Dim[]);
    e.nodeInto('Reshape', [x!, target], outputs);
  },

  transpose: (e, { attrs }, inputs, outputs) => {
    e.nodeInto('Transpose', inputs, outputs, { perm: { ints: attrs.perm as number[] } });
  },

  split: (e, { attrs }, [x], outputs) => {
    e.nodeInto('Split', [x!, e.ints(attrs.sizes as number[])], outputs, { axis: { int: -1 } });
  },

  concat: (e, { attrs }, inputs, outputs) => {
    e.nodeInto('Concat', inputs, outputs, { axis: { int: attrs.axis as number } });
  },

  reduceSum: (e, { attrs }, [x], outputs) => {
    e.nodeInto('ReduceSum', [x!, e.ints(attrs.axes as number[])], outputs, { keepdims: flag(attrs.keep) });
  },

  gatherRows: simple('Gather', { axis: { int: 0 } }),

  scatterRows: (e, _node, [rows, index, like], outputs) => {
    const zeros = e.node('ConstantOfShape', [e.node('Shape', [like!])]);
    const at = e.node('Unsqueeze', [index!, e.ints([-1])]);
    e.nodeInto('ScatterND', [zeros, at, rows!], outputs);
  },

  repeatRows: (e, _node, [table, index], outputs) => {
    e.nodeInto('Gather', [table!, index!], outputs, { axis: { int: 0 } });
  },

  sumRepeated: (e, _node, [rows, own, shared, copies, mask], outputs) => {
    const gather = (index: string) => e.node('Gather', [rows!, index], { axis: { int: 0 } });
    const more = e.node('ReduceSum', [e.node('Mul', [gather(copies!), mask!]), e.ints([0])], { keepdims: { int: 0 } });
    const at = e.node('Unsqueeze', [shared!, e.ints([-1])]);
    // Each index occurs once, so that no two threads add to the same row.
    e.nodeInto('ScatterND', [gather(own!), at, more], outputs, { reduction: { string: 'add' } });
  },

  causalMask: (e, _node, [queryIndex, keyIndex], outputs) => {
    const ahead = e.node('Sub', [keyIndex!, e.node('Unsqueeze', [queryIndex!, e.ints([1])])]);
    e.nodeInto('Mul', [e.node('Relu', [ahead]), e.float(-1e9)], outputs);
  },

  rmsNorm: (e, node, [x, weight], outputs) => {
    const w = weight ?? e.ones(Number(node.inputs[0]!.shape.at(-1)));
    const attrs = { axis: { int: -1 }, epsilon: { float: node.attrs.eps as number }, stash_type: { int: 1 } };
    e.nodeInto('SimplifiedLayerNormalization', [x!, w], outputs, attrs);
  },

  rotary: (e, node, [x, positions, cos, sin], outputs) => {
    const shape = node.inputs[0]!.shape;
    const batched = e.node('Unsqueeze', [x!, e.ints([0])]);
    const turned = node.attrs.inverse ? e.node('Neg', [sin!]) : sin!;
    const y = e.node('RotaryEmbedding', [batched, positions!, cos!, turned], {}, 'com.microsoft');
    e.nodeInto('Reshape', [y, e.ints([-1, Number(shape[1])])], outputs);
  },

  crossEntropy: (e, _node, [logits, labels, weights], [loss, probs]) => {
    e.nodeInto('Softmax', [logits!], [probs!], { axis: { int: -1 } });
    const picked = e.node('GatherElements', [probs!, labels!], { axis: { int: 1 } });
    const nll = e.node('Neg', [e.node('Log', [e.node('Max', [picked, e.float(1.2e-38)])])]);
    e.nodeInto('ReduceSum', [e.node('Mul', [nll, weights!])], [loss!], { keepdims: { int: 0 } });
  },

  headGrad: (e, { attrs }, [probs, labels, weights, codes, scale, mean], outputs) => {
    const rowsOf = (index: string) => {
      const at = { axis: { int: 0 } };
      return e.node(
        'DequantizeLinear',
        [e.node('Gather', [codes!, index], at), e.node('Gather', [scale!, index], at)],
        at,
      );
    };
    const mass = e.node('ReduceSum', [probs!, e.ints([0])], { keepdims: { int: 0 } });
    const unordered = { axis: { int: 0 }, sorted: { int: 0 } };
    const [, columns] = e.nodeInto(
      'TopK',
      [mass, e.ints([attrs.columns as number])],
      [e.fresh(), e.fresh()],
      unordered,
    );
    const leading = e.node('Gather', [probs!, columns!], { axis: { int: 1 } });
    const rest = e.node('Sub', [e.float(1), e.node('ReduceSum', [leading, e.ints([1])], { keepdims: { int: 1 } })]);
    const expected = e.node('Gemm', [leading, rowsOf(columns!), e.node('Mul', [rest, mean!])]);
    const label = rowsOf(e.node('Reshape', [labels!, e.ints([-1])]));
    e.nodeInto('Mul', [e.node('Sub', [expected, label]), weights!], outputs);
  },

  crossEntropyGrad: (e, _node, [probs, labels, weights], outputs) => {
    const picked = e.node('GatherElements', [probs!, labels!], { axis: { int: 1 } });
    const less = e.node('Sub', [picked, e.float(1)]);
    const delta = e.node('ScatterElements', [probs!, labels!, less], { axis: { int: 1 } });
    e.nodeInto('Mul', [delta, weights!], outputs);
  },
};

/** The first output of every model, one number of no meaning: see engine/ortOutputs.ts for what it is good for. */
export const firstOutput = '%first';

/** The bytes of inputs that never change, or where they lie, by name of the input. */
export type Constants = Readonly<Record<string, ExternalPart | Uint8Array>>;

/**
 * Encodes a program as an ONNX model. Sizes stay symbolic where the program's are.
 * @param constants inputs that become part of the model; the engine may lay them out anew for its kernels.
 */
export function toOnnx(program: Program, constants: Constants = {}): Uint8Array {
  const e = new Emitter();
  const outputs = Object.entries(program.outputs);
  const outputNames = new Map<Value, string>();
  for (const v of program.inputs) e.bind(v, inputName(v));
  for (const [name, v] of outputs) if (!isInput(v) && !outputNames.has(v)) outputNames.set(v, name);

  for (const node of topological(outputs.map(([, v]) => v))) {
    if (node.op === 'input') {
      invariant(program.inputs.includes(node.outputs[0]!), `${program.name}: undeclared input ${node.attrs.name}`);
      continue;
    }
    const rule = emitRules[node.op];
    invariant(rule, `no emission for op ${node.op}`);
    const names = node.outputs.map((v) => outputNames.get(v) ?? e.fresh());
    node.outputs.forEach((v, i) => {
      e.bind(v, names[i]!);
    });
    rule(
      e,
      node,
      node.inputs.map((v) => e.name(v)),
      names,
    );
  }
  // The same value under a second name, or an input handed out: a copy.
  for (const [name, v] of outputs) if (e.name(v) !== name) e.nodeInto('Identity', [e.name(v)], [name]);

  e.nodeInto('Identity', [e.float(0)], [firstOutput]);

  const info = (name: string, v: Value) => ({ name, dtype: v.dtype, shape: v.shape });
  const isConstant = (v: Value) => Object.hasOwn(constants, inputName(v));
  const fixed = program.inputs.filter(isConstant).map((v) => {
    const dims = v.shape.map((d) => {
      invariant(typeof d === 'number', `${program.name}: the constant ${inputName(v)} has the shape [${v.shape}]`);
      return d;
    });
    const place = constants[inputName(v)]!;
    const tensor = { name: inputName(v), dtype: v.dtype, dims };
    return place instanceof Uint8Array ? { ...tensor, data: place } : { ...tensor, external: place };
  });
  return encodeOnnx({
    name: program.name,
    nodes: e.nodes,
    inputs: program.inputs.filter((v) => !isConstant(v)).map((v) => info(inputName(v), v)),
    outputs: [{ name: firstOutput, dtype: 'float32', shape: [1] }, ...outputs.map(([name, v]) => info(name, v))],
    initializers: [...e.initializers, ...fixed],
  });
}
