// Int32Arrays that grow.

/** A copy of `data` with room for at least `size` numbers, or `data` itself where it has that already. */
export function withRoom(data: Int32Array, size: number): Int32Array<ArrayBuffer> {
  if (size <= data.length) return data as Int32Array<ArrayBuffer>;
  const grown = new Int32Array(Math.max(size, data.length + (data.length >> 1), 16));
  grown.set(data);
  return grown;
}
