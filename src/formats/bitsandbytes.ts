// The number formats of bitsandbytes (Dettmers et al. 2021, 2022, 2023): 4-bit codes in blocks over the flattened
// matrix, first value of a pair in the high nibble; block scales that may be 8-bit codes themselves; 8-bit rows.

export type FourBitType = 'nf4' | 'fp4';

/** The value of each code, in units of its block's largest magnitude. */
export const fourBitLevels: Record<FourBitType, Float32Array<ArrayBuffer>> = {
  // Quantiles of a normal distribution (QLoRA, appendix E).
  nf4: Float32Array.of(
    ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635],
    ...[-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725],
    ...[0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
  ),
  // One sign bit, two of exponent, one of fraction, in twelfths of the largest.
  fp4: Float32Array.from(
    [1, -1].flatMap((sign) => [0, 0.0625, 8, 12, 4, 6, 2, 3].map((twelfths) => (sign * twelfths) / 12)),
  ),
};

/** Float32 scales of 4-bit blocks; `first` is the number of the block that `values[0]` belongs to. */
export interface BlockScales {
  values: Float32Array;
  first: number;
  /** Elements in a block. */
  blockSize: number;
}

/**
 * Elements [first, first + out.length) of a matrix.
 * @param codes bytes from the one that holds element `first` on; element i of the matrix is in byte floor(i / 2).
 */
export function dequantise4Bit(
  codes: Uint8Array,
  levels: Float32Array,
  scales: BlockScales,
  first: number,
  out: Float32Array,
): void {
  const { values, blockSize } = scales;
  const odd = first % 2;
  for (let i = 0; i < out.length; ) {
    const block = Math.floor((first + i) / blockSize);
    const scale = values[block - scales.first]!;
    const end = Math.min(out.length, (block + 1) * blockSize - first);
    for (; i < end; i++) {
      const at = i + odd;
      const byte = codes[at >> 1]!;
      out[i] = levels[at & 1 ? byte & 15 : byte >> 4]! * scale;
    }
  }
}

/** Double quantisation: block scales as codes of their own, in blocks of their own, around their mean. */
export interface NestedScales {
  /** [256] the value of each code. */
  map: Float32Array;
  /** One scale a block of codes, all of them. */
  scales: Float32Array;
  blockSize: number;
  offset: number;
}

/** Block scales [first, first + codes.length), each step rounded to float32 as bitsandbytes does. */
export function dequantiseScales(codes: Uint8Array, nested: NestedScales, first: number): Float32Array<ArrayBuffer> {
  const offset = Math.fround(nested.offset);
  return Float32Array.from(
    codes,
    (code, i) => Math.fround(nested.map[code]! * nested.scales[Math.floor((first + i) / nested.blockSize)]!) + offset,
  );
}

const perStep = Math.fround(1 / 127);

/** Rows of 8-bit numbers, each with the largest magnitude of its row (`SCB`). */
export function dequantise8Bit(values: Int8Array, largest: Float32Array, out: Float32Array): void {
  const width = out.length / largest.length;
  for (let row = 0, i = 0; row < largest.length; row++) {
    const scale = largest[row]!;
    for (const end = i + width; i < end; i++) out[i] = Math.fround(values[i]! * scale) * perStep;
  }
}
