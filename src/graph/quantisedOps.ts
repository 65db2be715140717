// The ops on weights in 8 and 4 bits: how they are made, expanded and multiplied with.
import { need, one } from './declare.ts';
import { sameShape, showShape } from './shape.ts';
import { type Attrs, makeNode, type Value } from './value.ts';

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
