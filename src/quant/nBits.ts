// Matrices in blocks of 4 or 8 bits as onnxruntime's MatMulNBits takes them: (code - zeroPoint) * scale, both a block's own.
// Its zero points are whole numbers; the grids of GGUF's Q4_1 start anywhere. What that leaves of a block is one number times
// the sum of its inputs: it goes into columns of its own, behind the others, which see the blocks' means (`appendBlockMeans`).

/** Columns that share a scale: the block of GGUF's Q4_0, Q4_1 and Q8_0. */
export const nBitsBlock = 32;

export interface NBitsCodes {
  /** [out, blocks, block * bits / 8]; in 4 bits the first of two codes is in the low half. */
  codes: Uint8Array;
  /** [out, blocks]. */
  scales: Float32Array;
  /** [out, ceil(blocks * bits / 8)]. */
  zeroPoints: Uint8Array;
}

/** Columns of the packed matrix: those of the blocks' means come on top. */
export const nBitsWidth = (width: number) => width + width / nBitsBlock;

/** Sizes of its parts. @param means false: without the columns for means (`withoutMeans`). */
export function nBitsShape(bits: 4 | 8, out: number, width: number, means = true) {
  const blocks = Math.ceil((means ? nBitsWidth(width) : width) / nBitsBlock);
  return {
    codes: [out, blocks, (nBitsBlock * bits) / 8],
    scales: [out, blocks],
    zeroPoints: [out, Math.ceil((blocks * bits) / 8)],
  };
}
