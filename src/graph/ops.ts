// The ops: what they mean, and the shapes they accept. Kernels are onnxruntime's (emit.ts), gradients are one table
// (gradients.ts). Rows are tokens almost everywhere: [tokens, width].
import {
  addDims,
  broadcast,
  type Dim,
  elements,
  type Shape,
  ShapeError,
  sameShape,
  scaleDim,
  showShape,
} from './shape.ts';
import { type Attrs, type DType, makeNode, scalar, type Value } from './value.ts';

const one = (op: string, inputs: readonly Value[], attrs: Attrs, shape: Shape, dtype: DType = 'float32'): Value =>
  makeNode(op, inputs, attrs, [{ dtype, shape }]).outputs[0]!;

function need(op: string, ok: boolean, detail: () => string): void {
  if (!ok) throw new ShapeError(op, detail());
}

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

/** A matrix whose columns were quantised: `w` int8 [in, out], `scale` float32 [out] or []; the weight is w * scale. */
export interface Int8Matrix {
  w: Value;
  scale: Value;
}

export interface Int8Options {
  /**
   * The largest magnitude expected in x: one fixed scale for all rows, peak / 127, larger values are cut. Without it each
   * row gets a scale of its own.
   */
  peak?: number;
  /** x is rotated by this [block, block] (see `rotateBlocks`) before it is quantised; `matrix` must be for rotated x. */
  rotateInput?: Value;
  /**
   * What the gradient with respect to (unrotated) x is computed with: the transposed weight as int8 [out, in], for which
   * the gradient is first rotated by `rotation` [block, block]; or 'transposed': the same codes, turned over by the
   * gradient, with the columns' scales multiplied into it before it is quantised.
   */
  backward?: { int8: Int8Matrix; rotation?: Value } | 'transposed';
}

/**
 * x [rows, in] times an int8 matrix, with x itself quantised to 8 bits: result float32 [rows, out].
 * The backward operands are inputs of the node so that graph walks see them; the forward never reads them.
 */
export function int8Linear(x: Value, matrix: Int8Matrix, options: Int8Options = {}): Value {
  need('int8Linear', x.shape.length === 2 && x.shape[1] === matrix.w.shape[0], () => {
    return `${showShape(x.shape)} x ${showShape(matrix.w.shape)} int8: inner sizes differ`;
  });
  const out = matrix.w.shape[1]!;
  need('int8Linear', matrix.scale.shape.length === 0 || sameShape(matrix.scale.shape, [out]), () => {
    return `scale ${showShape(matrix.scale.shape)} for the columns of ${showShape(matrix.w.shape)}`;
  });
  const { rotateInput, backward } = options;
  const inputs = [x, matrix.w, matrix.scale, ...(rotateInput ? [rotateInput] : [])];
  const attrs = { peak: options.peak ?? 0, rotateInput: !!rotateInput, backward: 'none' };
  if (backward === 'transposed') attrs.backward = backward;
  else if (backward) {
    const { shape } = backward.int8.w;
    need('int8Linear', sameShape(shape, [out, x.shape[1]!]), () => {
      return `backward weight ${showShape(shape)} for a product ${showShape([x.shape[1]!, out])}`;
    });
    inputs.push(backward.int8.w, backward.int8.scale);
    attrs.backward = 'int8';
    if (backward.rotation) inputs.push(backward.rotation);
  }
  return one('int8Linear', inputs, attrs, [x.shape[0]!, out]);
}

/** Per-row symmetric quantisation of x [rows, n]: int8 codes and their scale [rows], x ~ codes * scale. */
export function quantizeRows(x: Value): { codes: Value; scale: Value } {
  need('quantizeRows', x.shape.length === 2, () => `${showShape(x.shape)} has not two axes`);
  const node = makeNode('quantizeRows', [x], {}, [
    { dtype: 'int8', shape: x.shape },
    { dtype: 'float32', shape: [x.shape[0]!] },
  ]);
  return { codes: node.outputs[0]!, scale: node.outputs[1]! };
}

/** What `quantizeRows` made of x, as numbers again: int8 codes [rows, n] times scale [rows]. */
export function dequantizeRows(codes: Value, scale: Value): Value {
  need('dequantizeRows', codes.shape.length === 2 && sameShape(scale.shape, [codes.shape[0]!]), () => {
    return `scale ${showShape(scale.shape)} for the rows of ${showShape(codes.shape)}`;
  });
  return one('dequantizeRows', [codes, scale], {}, codes.shape);
}

/** A matrix [out, in] in blocks of 4-bit codes along its rows: q * scale + offset. */
export interface Blocks4 {
  /** uint8 [out / 2, in]: row i in the low halves, row i + out / 2 in the high halves. */
  packed: Value;
  /** float16 [out, in / block]. */
  scale: Value;
  offset: Value;
}

/**
 * x [out, in] to the nearest of 16 even steps between the smallest and the largest value of each block, as in GGUF's Q4_1:
 * a matrix that was stored that way (or as Q4_0) comes out as it is.
 */
export function quantizeBlocks4(x: Value, block: number): Blocks4 {
  const [out, width] = x.shape;
  need('quantizeBlocks4', x.shape.length === 2 && Number(out) % 2 === 0 && Number(width) % block === 0, () => {
    return `${showShape(x.shape)} in blocks of ${block} columns, two rows in a byte`;
  });
  const blocks = { dtype: 'float16' as const, shape: [out!, Number(width) / block] };
  const node = makeNode('quantizeBlocks4', [x], { block }, [
    { dtype: 'uint8', shape: [Number(out) / 2, width!] },
    blocks,
    blocks,
  ]);
  return { packed: node.outputs[0]!, scale: node.outputs[1]!, offset: node.outputs[2]! };
}

/** What `quantizeBlocks4` made of a matrix, as float32 [out, in]. */
export function expandBlocks4({ packed, scale, offset }: Blocks4): Value {
  const [out, blocks] = scale.shape;
  const width = packed.shape[1]!;
  need(
    'expandBlocks4',
    sameShape(scale.shape, offset.shape) && out === 2 * Number(packed.shape[0]) && Number(width) % Number(blocks) === 0,
    () => `${showShape(packed.shape)} packed, scale ${showShape(scale.shape)}, offset ${showShape(offset.shape)}`,
  );
  return one('expandBlocks4', [packed, scale, offset], {}, [out!, width]);
}

/** A matrix [in, out] in 4 bits: see `quantizeInt4`. */
export interface Int4Matrix {
  /** uint8 [in / 2, out]: row i in the low halves, row i + in / 2 in the high halves, each plus 8. */
  packed: Value;
  /** int8 [in / block, out], magnitudes 1 to 15. */
  steps: Value;
  /** float32 [out]. */
  scale: Value;
}

/** The largest step of `quantizeInt4`: its eightfold still fits a code of 8 bits. */
export const int4Steps = 15;

/**
 * x [in, out] in 4 bits: x ~ q * step * scale, with q in -8..7, a whole step for each `block` rows of a column and a scale
 * for each column. So q * step are codes of 8 bits, and getting at them costs no rounding. The sign of a step puts the
 * block's largest magnitude on the side that has one level more; of a few sizes around that magnitude / 8, the one with
 * the least squared error is taken.
 */
export function quantizeInt4(x: Value, block: number): Int4Matrix {
  const [rows, out] = x.shape;
  need('quantizeInt4', x.shape.length === 2 && Number(rows) % block === 0 && Number(rows) % 2 === 0, () => {
    return `${showShape(x.shape)} in blocks of ${block} rows, two rows in a byte`;
  });
  const node = makeNode('quantizeInt4', [x], { block }, [
    { dtype: 'uint8', shape: [Number(rows) / 2, out!] },
    { dtype: 'int8', shape: [Number(rows) / block, out!] },
    { dtype: 'float32', shape: [out!] },
  ]);
  return { packed: node.outputs[0]!, steps: node.outputs[1]!, scale: node.outputs[2]! };
}

/** The codes of an `Int4Matrix`, q * step: int8 [in, out]. */
export function unpackInt4(packed: Value, steps: Value): Value {
  const rows = 2 * Number(packed.shape[0]);
  need('unpackInt4', packed.shape[1] === steps.shape[1] && rows % Number(steps.shape[0]) === 0, () => {
    return `${showShape(packed.shape)} packed, steps ${showShape(steps.shape)}`;
  });
  return one('unpackInt4', [packed, steps], {}, [rows, packed.shape[1]!], 'int8');
}

/** A matrix [out, in] in NF4, as bitsandbytes keeps it: 4-bit codes in blocks over the flattened matrix. */
export interface Nf4Matrix {
  /** uint8 [out * in / 2, rounded up]: the first code of a pair in the high half. */
  codes: Value;
  /** float32 [out * in / block, rounded up]: what a block's levels, -1 to 1, are multiplied by. */
  scales: Value;
  out: number;
  in: number;
  block: number;
}

/** What onnxruntime's kernel takes. */
const nf4Blocks = [16, 32, 64, 128, 256];

function checkNf4(op: string, m: Nf4Matrix): Attrs {
  const [bytes, blocks] = [Math.ceil((m.out * m.in) / 2), Math.ceil((m.out * m.in) / m.block)];
  need(op, nf4Blocks.includes(m.block), () => `blocks of ${m.block}, not one of ${showShape(nf4Blocks)}`);
  need(op, sameShape(m.codes.shape, [bytes]) && sameShape(m.scales.shape, [blocks]), () => {
    const given = `codes ${showShape(m.codes.shape)}, scales ${showShape(m.scales.shape)}`;
    return `${given} for a matrix ${showShape([m.out, m.in])} that takes ${bytes} and ${blocks}`;
  });
  return { out: m.out, in: m.in, block: m.block };
}

/** x [rows, in] times the transpose of an NF4 matrix, in float32: [rows, out]. */
export function nf4Linear(x: Value, matrix: Nf4Matrix): Value {
  need('nf4Linear', x.shape.length === 2 && x.shape[1] === matrix.in, () => {
    return `${showShape(x.shape)} x ${showShape([matrix.out, matrix.in])}ᵀ: inner sizes differ`;
  });
  const attrs = checkNf4('nf4Linear', matrix);
  return one('nf4Linear', [x, matrix.codes, matrix.scales], attrs, [x.shape[0]!, matrix.out]);
}

/** An NF4 matrix in float32: [out, in]. */
export function expandNf4(matrix: Nf4Matrix): Value {
  const attrs = checkNf4('expandNf4', matrix);
  return one('expandNf4', [matrix.codes, matrix.scales], attrs, [matrix.out, matrix.in]);
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

/** An output head kept as 8-bit rows: `codes` int8 [vocab, width] with `scale` [vocab]; `mean` [1, width] of its rows. */
export interface HeadRows {
  codes: Value;
  scale: Value;
  mean: Value;
}

/**
 * The gradient of `crossEntropy` with respect to what went into the head, [rows, width]: weights * (probs W - W[label]).
 * Of the product with the whole vocabulary only the `columns` with most probability (summed over the rows) are computed;
 * the rest of each row's probability is given to the mean row of W. With all columns it is exact.
 */
export function headGrad(probs: Value, labels: Value, weights: Value, head: HeadRows, columns: number): Value {
  const [rows, vocab] = probs.shape;
  const width = head.codes.shape[1]!;
  need('headGrad', sameShape(labels.shape, [rows!, 1]) && sameShape(weights.shape, [rows!, 1]), () => {
    return `probs ${showShape(probs.shape)}, labels ${showShape(labels.shape)}, weights ${showShape(weights.shape)}`;
  });
  need(
    'headGrad',
    head.codes.shape[0] === vocab && sameShape(head.scale.shape, [vocab!]) && sameShape(head.mean.shape, [1, width]),
    () =>
      `probs ${showShape(probs.shape)}, codes ${showShape(head.codes.shape)}, scale ${showShape(head.scale.shape)}, mean ${showShape(head.mean.shape)}`,
  );
  need('headGrad', columns >= 1 && columns <= Number(vocab), () => `${columns} columns of ${vocab}`);
  return one('headGrad', [probs, labels, weights, head.codes, head.scale, head.mean], { columns }, [rows!, width]);
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
