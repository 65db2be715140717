// The ops: what they mean, and the shapes they accept. Kernels are onnxruntime's (emit.ts), gradients are one table
// (gradients.ts). Rows are tokens almost everywhere: [tokens, width].
import { need, one } from './declare.ts';
import { addDims, broadcast, type Dim, elements, type Shape, sameShape, scaleDim, showShape } from './shape.ts';
import { makeNode, scalar, type Value } from './value.ts';

// ---- elementwise, with numpy broadcasting

export const add = (a: Value, b: Value) => one('add', [a, b], {}, broadcast('add', a.shape, b.shape));
export const sub = (a: Value, b: Value) => one('sub', [a, b], {}, broadcast('sub', a.shape, b.shape));
export const mul = (a: Value, b: Value) => one('mul', [a, b], {}, broadcast('mul', a.shape, b.shape));
export const scale = (a: Value, factor: number) => mul(a, scalar(factor));
export const sigmoid = (a: Value) => one('sigmoid', [a], {}, a.shape);
/** x * sigmoid(x) (Hendrycks & Gimpel 2016). */
export const silu = (a: Value) => one('silu', [a], {}, a.shape);

// ---- products

export interface MatmulOptions {
  transA?: boolean;
  transB?: boolean;
  /** Factor on the product. */
  alpha?: number;
  /** A backward pass that needs the product computes it again: it is thin, and would take memory to keep. */
  again?: boolean;
}

function productShape(op: string, a: Value, b: Value, o: MatmulOptions): Dim[] {
  const show = () => `${showShape(a.shape)}${o.transA ? 'ᵀ' : ''} x ${showShape(b.shape)}${o.transB ? 'ᵀ' : ''}`;
  need(op, a.shape.length >= 2 && b.shape.length >= 2, () => `${show()}: both need at least two axes`);
  const [rows, innerA] = o.transA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [innerB, columns] = o.transB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
  need(op, innerA === innerB, () => `${show()}: inner sizes ${innerA} and ${innerB} differ`);
  return [...broadcast(op, a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns];
}

/** alpha * op(a) op(b) over the last two axes; leading axes broadcast. */
export function matmul(a: Value, b: Value, options: MatmulOptions = {}): Value {
  const attrs = {
    transA: !!options.transA,
    transB: !!options.transB,
    alpha: options.alpha ?? 1,
    again: !!options.again,
  };
  return one('matmul', [a, b], attrs, productShape('matmul', a, b, options));
}

/** c + op(a) op(b), two axes each. */
export function addmm(c: Value, a: Value, b: Value, options: Omit<MatmulOptions, 'alpha' | 'again'> = {}): Value {
  const shape = productShape('addmm', a, b, options);
  need('addmm', shape.length === 2 && sameShape(c.shape, shape), () => {
    return `adds ${showShape(c.shape)} to a product of shape ${showShape(shape)}`;
  });
  return one('addmm', [c, a, b], { transA: !!options.transA, transB: !!options.transB }, shape);
}

// ---- layout

export function reshape(a: Value, shape: Shape): Value {
  const from = elements(a.shape);
  const to = elements(shape);
  need('reshape', from.fixed === to.fixed && from.symbols === to.symbols, () => {
    return `${showShape(a.shape)} and ${showShape(shape)} hold different numbers of elements`;
  });
  return sameShape(a.shape, shape) ? a : one('reshape', [a], { shape: [...shape] }, shape, a.dtype);
}

export function transpose(a: Value, perm: readonly number[]): Value {
  need('transpose', [...perm].sort().join() === a.shape.map((_, i) => i).join(), () => {
    return `permutation ${showShape(perm)} does not fit ${showShape(a.shape)}`;
  });
  return one(
    'transpose',
    [a],
    { perm },
    perm.map((p) => a.shape[p]!),
    a.dtype,
  );
}

/** Cuts the last axis into pieces of the given sizes. */
export function split(a: Value, sizes: readonly number[]): readonly Value[] {
  const total = sizes.reduce((x, y) => x + y, 0);
  need('split', a.shape.at(-1) === total, () => `pieces ${showShape(sizes)} of the last axis of ${showShape(a.shape)}`);
  if (sizes.length === 1) return [a];
  const outputs = sizes.map((s) => ({ dtype: a.dtype, shape: [...a.shape.slice(0, -1), s] }));
  return makeNode('split', [a], { sizes }, outputs).outputs;
}

export function concat(parts: readonly Value[], axis: number): Value {
  const first = parts[0]!;
  const at = axis < 0 ? axis + first.shape.length : axis;
  for (const p of parts) {
    const agrees =
      at < first.shape.length &&
      p.shape.length === first.shape.length &&
      p.shape.every((d, i) => i === at || d === first.shape[i]);
    need('concat', agrees, () => `${showShape(first.shape)} and ${showShape(p.shape)} differ outside axis ${at}`);
  }
  if (parts.length === 1) return first;
  const sum = addDims(parts.map((p) => p.shape[at]!));
  return one(
    'concat',
    parts,
    { axis: at },
    first.shape.map((d, i) => (i === at ? sum : d)),
    first.dtype,
  );
}

/** Sum over `axes`; `keep` leaves them as size 1. */
export function reduceSum(a: Value, axes: readonly number[], keep = true): Value {
  if (axes.length === 0) return a;
  const at = axes.map((x) => (x < 0 ? x + a.shape.length : x));
  need(
    'reduceSum',
    at.every((x) => x in a.shape),
    () => `axes ${showShape(axes)} of ${showShape(a.shape)}`,
  );
  const shape = a.shape.flatMap((d, i) => (at.includes(i) ? (keep ? [1] : []) : [d]));
  return one('reduceSum', [a], { axes: at, keep }, shape);
}

/** Rows of a table [n, width] by index [m] (int64): [m, width]. */
export function gatherRows(table: Value, index: Value): Value {
  need('gatherRows', table.shape.length === 2 && index.shape.length === 1, () => {
    return `table ${showShape(table.shape)}, index ${showShape(index.shape)}`;
  });
  return one('gatherRows', [table, index], {}, [index.shape[0]!, table.shape[1]!], table.dtype);
}

/**
 * Which rows of a table occur several times, and where the copies of each lie: what a gradient needs to add them up.
 * (A scatter that adds would not do: onnxruntime's loses updates when two threads meet in a row.)
 */
export interface Repetition {
  /** [n] int64: for each row of the table, where its own copy lies. */
  own: Value;
  /** [shared] int64: rows of the table with more copies; none twice. */
  shared: Value;
  /** [copies, shared] int64: where these copies lie; any place where `mask` [copies, shared, 1] is 0 instead of 1. */
  copies: Value;
  mask: Value;
}

const repetitionInputs = (r: Repetition) => [r.own, r.shared, r.copies, r.mask];

/** gatherRows for rows that repeat: table [n, width], index [m] int64 to [m, width]. */
export function repeatRows(table: Value, index: Value, repetition: Repetition): Value {
  need('repeatRows', table.shape.length === 2 && sameShape(repetition.own.shape, [table.shape[0]!]), () => {
    return `table ${showShape(table.shape)}, own copies ${showShape(repetition.own.shape)}`;
  });
  return one('repeatRows', [table, index, ...repetitionInputs(repetition)], {}, [index.shape[0]!, table.shape[1]!]);
}

/** Its transpose: each row of the table gets the sum of its copies in `rows` [m, width]. */
export function sumRepeated(rows: Value, repetition: Repetition): Value {
  const [copies, shared] = repetition.copies.shape;
  need('sumRepeated', sameShape(repetition.mask.shape, [copies!, shared!, 1]), () => {
    return `mask ${showShape(repetition.mask.shape)} for copies ${showShape(repetition.copies.shape)}`;
  });
  return one('sumRepeated', [rows, ...repetitionInputs(repetition)], {}, [repetition.own.shape[0]!, rows.shape[1]!]);
}

/**
 * Zeros of the shape of `like` [n, width], with the rows [m, width] put at `index` [m]. No index may occur twice:
 * onnxruntime's ScatterND adds from several threads without a lock.
 */
export function scatterRows(rows: Value, index: Value, like: Value): Value {
  need('scatterRows', rows.shape[1] === like.shape[1] && rows.shape[0] === index.shape[0], () => {
    return `rows ${showShape(rows.shape)} at ${showShape(index.shape)} into ${showShape(like.shape)}`;
  });
  return one('scatterRows', [rows, index, like], {}, like.shape);
}

// ---- the pieces of a transformer

/**
 * softmax(scores) values: scores [batch, rows, keys], values [batch, keys, width] to { y [batch, rows, width], probs }.
 * One op, because its gradient is cheaper than that of its parts.
 */
export function softmaxMatmul(scores: Value, values: Value): { y: Value; probs: Value } {
  const node = makeNode('softmaxMatmul', [scores, values], {}, [
    { dtype: 'float32', shape: productShape('softmaxMatmul', scores, values, {}) },
    { dtype: 'float32', shape: scores.shape },
  ]);
  return { y: node.outputs[0]!, probs: node.outputs[1]! };
}

/** Softmax over the last axis. */
export const softmax = (a: Value) => one('softmax', [a], {}, a.shape);

/**
 * What is added to scores so that a query sees only keys up to its own index: 0 where keyIndex <= queryIndex, at most
 * -1e9 elsewhere. queryIndex [queries], keyIndex [keys], as float32: [queries, keys].
 */
export function causalMask(queryIndex: Value, keyIndex: Value): Value {
  need('causalMask', queryIndex.shape.length === 1 && keyIndex.shape.length === 1, () => {
    return `indices ${showShape(queryIndex.shape)} and ${showShape(keyIndex.shape)}`;
  });
  return one('causalMask', [queryIndex, keyIndex], {}, [queryIndex.shape[0]!, keyIndex.shape[0]!]);
}

/**
 * RMSNorm (Zhang & Sennrich 2019) over the last axis: y = x * inv * weight with inv = 1 / sqrt(mean(x^2) + eps).
 * Without a weight y = x * inv.
 */
export function rmsNorm(x: Value, weight: Value | undefined, eps: number): { y: Value; inv: Value } {
  const width = x.shape.at(-1)!;
  need('rmsNorm', !weight || sameShape(weight.shape, [width]), () => {
    return `weight ${showShape(weight!.shape)} for rows of ${showShape(x.shape)}`;
  });
  const node = makeNode('rmsNorm', weight ? [x, weight] : [x], { eps }, [
    { dtype: 'float32', shape: x.shape },
    { dtype: 'float32', shape: [...x.shape.slice(0, -1), 1] },
  ]);
  return { y: node.outputs[0]!, inv: node.outputs[1]! };
}

/**
 * Rotary position embedding (Su et al. 2021), half-split pairing as in Hugging Face checkpoints.
 * x [tokens, heads * headDim], positions [1, tokens] int64, cos and sin [maxPositions, headDim / 2].
 * `inverse` turns by the negative angle: it is the gradient.
 */
export function rotary(x: Value, positions: Value, cos: Value, sin: Value, inverse = false): Value {
  const headDim = Number(cos.shape[1]) * 2;
  need('rotary', x.shape.length === 2 && Number(x.shape[1]) % headDim === 0 && sameShape(cos.shape, sin.shape), () => {
    return `x ${showShape(x.shape)} with tables ${showShape(cos.shape)} and ${showShape(sin.shape)}`;
  });
  need('rotary', sameShape(positions.shape, [1, x.shape[0]!]), () => {
    return `positions ${showShape(positions.shape)} for x ${showShape(x.shape)}`;
  });
  return one('rotary', [x, positions, cos, sin], { inverse }, x.shape);
}

/**
 * Weighted token cross-entropy: logits [rows, vocab], labels [rows, 1] int64, weights [rows, 1].
 * loss = sum of weights * -log softmax(logits)[label]; a token's loss is bounded by 87 (float32's smallest probability).
 */
export function crossEntropy(logits: Value, labels: Value, weights: Value): { loss: Value; probs: Value } {
  const rows = logits.shape[0]!;
  need('crossEntropy', sameShape(labels.shape, [rows, 1]) && sameShape(weights.shape, [rows, 1]), () => {
    return `logits ${showShape(logits.shape)}, labels ${showShape(labels.shape)}, weights ${showShape(weights.shape)}`;
  });
  const node = makeNode('crossEntropy', [logits, labels, weights], {}, [
    { dtype: 'float32', shape: [] },
    { dtype: 'float32', shape: logits.shape },
  ]);
  return { loss: node.outputs[0]!, probs: node.outputs[1]! };
}

/** (probs - onehot(labels)) * weights: the gradient of `crossEntropy` with respect to the logits. */
export function crossEntropyGrad(probs: Value, labels: Value, weights: Value): Value {
  const rows = probs.shape[0]!;
  need('crossEntropyGrad', sameShape(labels.shape, [rows, 1]) && sameShape(weights.shape, [rows, 1]), () => {
    return `probs ${showShape(probs.shape)}, labels ${showShape(labels.shape)}, weights ${showShape(weights.shape)}`;
  });
  return one('crossEntropyGrad', [probs, labels, weights], {}, probs.shape);
}

/**
 * Multiplies each block of the last axis with an orthonormal matrix `rotation` [block, block]:
 * spreads outliers over a block before it is quantised (QuaRot, Ashkboos et al. 2024).
 */
export function rotateBlocks(x: Value, rotation: Value, options: Pick<MatmulOptions, 'again'> = {}): Value {
  const width = Number(x.shape.at(-1));
  const block = Number(rotation.shape[0]);
  need('rotateBlocks', width % block === 0, () => {
    return `${showShape(x.shape)} in blocks of ${showShape(rotation.shape)}`;
  });
  const flat = reshape(x, [scaleDim(x.shape[0]!, width / block), block]);
  return reshape(matmul(flat, rotation, options), x.shape);
}
