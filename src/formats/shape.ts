// Sizes taken from a file: products that cannot overflow, and how a shape splits into rows.

/** Product of sizes, or undefined when it (or the product of the sizes that are not 0) leaves the exact integers. */
export function checkedProduct(sizes: readonly number[]): number | undefined {
  let product = 1;
  let empty = false;
  for (const size of sizes) {
    if (size === 0) empty = true;
    else product *= size;
    if (!Number.isSafeInteger(product)) return undefined;
  }
  return empty ? 0 : product;
}

/** Rows along the first dimension; a vector or a scalar is one row. The shape must have passed `checkedProduct`. */
export function splitRows(shape: readonly number[]): { rows: number; rowLength: number } {
  const [rows, rest] = shape.length < 2 ? [1, shape] : [shape[0], shape.slice(1)];
  return { rows, rowLength: rest.reduce((product, size) => product * size, 1) };
}
