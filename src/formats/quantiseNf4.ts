// Values to NF4 as bitsandbytes makes it: each block of the flattened matrix by its largest magnitude, to the nearest level.
import { fourBitLevels } from './bitsandbytes.ts';

/** A matrix in NF4 with blocks of `nf4Block`. */
export interface Nf4Codes {
  /** Two codes a byte, the first in the high half. */
  codes: Uint8Array<ArrayBuffer>;
  /** One a block. */
  scales: Float32Array<ArrayBuffer>;
}

/** What bitsandbytes uses unless told otherwise. */
export const nf4Block = 64;

/** A value is coded as the number of bounds below it: the middles between neighbouring levels, and one for good. */
const bounds = Float32Array.from(fourBitLevels.nf4, (level, i) => (level + (fourBitLevels.nf4[i + 1] ?? Infinity)) / 2);

/** Narrower than the distance of any two bounds, so that a cell holds at most one. */
const cells = 64;
/** The code at the lower end of each cell of [-1, 1]. */
const codeOfCell = Uint8Array.from({ length: cells + 1 }, (_, cell) => {
  return bounds.filter((bound) => bound < -1 + (2 * cell) / cells).length;
});

/** The code of a value in [-1, 1], or beyond by a rounding error. */
function codeOf(value: number): number {
  const code = codeOfCell[((value + 1) * (cells / 2)) | 0]!;
  return value > bounds[code]! ? code + 1 : code;
}

/** Bit for bit what `quantize_4bit` of bitsandbytes 0.50 makes of float32 values. */
export function quantiseNf4(values: Float32Array): Nf4Codes {
  const codes = new Uint8Array(Math.ceil(values.length / 2));
  const scales = new Float32Array(Math.ceil(values.length / nf4Block));
  for (let block = 0; block < scales.length; block++) {
    const first = block * nf4Block;
    const last = Math.min(values.length, first + nf4Block);
    let largest = 0;
    for (let i = first; i < last; i++) largest = Math.max(largest, Math.abs(values[i]!));
    scales[block] = largest;
    const factor = Math.fround(1 / Math.max(largest, 1e-38));
    for (let i = first; i < last; i += 2) {
      const low = i + 1 < last ? values[i + 1]! : 0;
      codes[i >> 1] = (codeOf(Math.fround(values[i]! * factor)) << 4) | codeOf(Math.fround(low * factor));
    }
  }
  return { codes, scales };
}
