// Plain tensors in float64 and the two moves from which the reference ops are made: build by index, read by index.

/** Row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** A tensor whose element at `index` is f(index). */
export function build(shape: readonly number[], f: (index: number[]) => number): Tensor {
  const index = shape.map(() => 0);
  const data = Array.from({ length: size(shape) }, () => {
    const value = f(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
    return value;
  });
  return { shape, data };
}

/** The element at `index`, broadcast as in numpy: leading axes that t lacks are skipped, axes of size 1 repeat. */
export function at(t: Tensor, index: readonly number[]): number {
  const skip = index.length - t.shape.length;
  let flat = 0;
  t.shape.forEach((dim, axis) => {
    const i = dim === 1 ? 0 : index[axis + skip]!;
    if (!(i >= 0 && i < dim)) throw new Error(`index [${index}] outside [${t.shape}]`);
    flat = flat * dim + i;
  });
  return t.data[flat]!;
}

/** f of each slice along the last axis; f may change the slice's length. */
export function mapRows(t: Tensor, f: (row: number[], index: number) => number[]): Tensor {
  const width = t.shape.at(-1)!;
  const count = size(t.shape.slice(0, -1));
  const rows = Array.from({ length: count }, (_, r) => f(t.data.slice(r * width, (r + 1) * width), r));
  return { shape: [...t.shape.slice(0, -1), rows[0]?.length ?? width], data: rows.flat() };
}

/** Random values in [low, high) from a stream of uniform numbers. */
export function randomTensor(shape: readonly number[], uniform: () => number, low = -2, high = 2): Tensor {
  return build(shape, () => low + (high - low) * uniform());
}
