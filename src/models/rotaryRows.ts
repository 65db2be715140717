// Rows of q and k in Meta's order and in Hugging Face's. Meta's code turns neighbours (0, 1), (2, 3), ... of a head as pairs;
// transformers pairs the first half of a head with the second, so its checkpoints have the rows 0, 2, 4, ..., 1, 3, 5, ...
// of Meta's (and llama.cpp's, which kept Meta's order).

/**
 * Rows [first, last) in Hugging Face's order of a matrix whose heads lie in Meta's; whole heads are read, and only those.
 * @param read rows [from, to) as they are stored, `width` numbers each.
 */
export async function halvesFromPairs(
  read: (from: number, to: number) => Promise<Float32Array>,
  { headDim, width }: { headDim: number; width: number },
  [first, last]: readonly [number, number],
): Promise<Float32Array> {
  const start = Math.floor(first / headDim) * headDim;
  const pairs = await read(start, Math.ceil(last / headDim) * headDim);
  const out = new Float32Array((last - first) * width);
  const half = headDim / 2;
  for (let row = first; row < last; row++) {
    const inHead = row % headDim;
    const from = row - inHead - start + (inHead % half) * 2 + Math.floor(inHead / half);
    out.set(pairs.subarray(from * width, (from + 1) * width), (row - first) * width);
  }
  return out;
}
