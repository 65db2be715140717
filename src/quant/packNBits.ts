// Packs matrices in blocks of 4 or 8 bits; nBits.ts says what that is.
import { type NBitsCodes, nBitsShape } from './nBits.ts';
import { packRows4 } from './nBits4.ts';
import { packRows8 } from './nBits8.ts';

/** Room for the parts of a matrix [out, width]. */
export function emptyNBits(bits: 4 | 8, out: number, width: number): NBitsCodes {
  const shape = nBitsShape(bits, out, width);
  const size = (s: readonly number[]) => s.reduce((a, b) => a * b, 1);
  return {
    codes: new Uint8Array(size(shape.codes)),
    scales: new Float32Array(size(shape.scales)),
    zeroPoints: new Uint8Array(size(shape.zeroPoints)),
  };
}

/**
 * Packs rows [n, width] of a matrix into their place in `to`, which is empty there, from row `first` on. A million weights
 * take about 50 ms (4 bits) or 15 (8 bits): a large matrix is handed in by parts.
 */
export function packRows(bits: 4 | 8, rows: Float32Array, width: number, to: NBitsCodes, first = 0): void {
  (bits === 4 ? packRows4 : packRows8)(rows, width, to, first);
}

/** A whole matrix [out, width]. */
export function packNBits(bits: 4 | 8, weight: Float32Array, out: number, width: number): NBitsCodes {
  const made = emptyNBits(bits, out, width);
  packRows(bits, weight, width, made);
  return made;
}
