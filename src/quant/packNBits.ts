// Packs matrices in blocks of 4 or 8 bits; nBits.ts says what that is.
import { type NBitsCodes, nBitsBlock, nBitsShape } from './nBits.ts';
import { packRows4 } from './nBits4.ts';
import { packRows8 } from './nBits8.ts';

/** Room for the parts of a matrix [out, width]. */
export function emptyNBits(bits: 4 | 8, out: number, width: number, means = true): NBitsCodes {
  const shape = nBitsShape(bits, out, width, means);
  const size = (s: readonly number[]) => s.reduce((a, b) => a * b, 1);
  return {
    codes: new Uint8Array(size(shape.codes)),
    scales: new Float32Array(size(shape.scales)),
    zeroPoints: new Uint8Array(size(shape.zeroPoints)),
  };
}

/**
 * Packs rows [n, width] of a matrix into their place in `to`, which is empty there, from row `first` on. A million weights
 * take about 65 ms (4 bits) or 20 (8 bits): a large matrix is handed in by parts.
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

/** What is left of a block counts as nothing below this part of its step: float32's own rounding. */
const nothing = 1e-5;

/**
 * The same matrix without the columns for means, where they are zero: every block starts a whole number of steps from 0, as
 * in Q4_0. Undefined where they are not. Without them a product reads less, and its rows stay whole blocks.
 */
export function withoutMeans(bits: 4 | 8, m: NBitsCodes, out: number, width: number): NBitsCodes | undefined {
  const own = width / nBitsBlock;
  const blocks = m.scales.length / out;
  for (let row = 0; row < out; row++) {
    let largest = 0;
    for (let b = 0; b < own; b++) largest = Math.max(largest, Math.abs(m.scales[row * blocks + b]!));
    for (let b = own; b < blocks; b++) {
      const at = row * blocks + b;
      const bytes = (nBitsBlock * bits) / 8;
      const codes = m.codes.subarray(at * bytes, (at + 1) * bytes);
      // A step of 1 is put where all of a block is 0.
      const isZero = m.scales[at] === 1 && codes.every((c) => c === 0);
      if (!isZero && !(m.scales[at]! < nothing * largest)) return undefined;
    }
  }
  const made = emptyNBits(bits, out, width, false);
  for (const part of ['codes', 'scales', 'zeroPoints'] as const) {
    const [from, to] = [m[part], made[part]];
    const [before, after] = [from.length / out, to.length / out];
    for (let row = 0; row < out; row++) to.set(from.subarray(row * before, row * before + after), row * after);
  }
  // Half a byte of the first means' zero point is left over where the number of blocks is odd.
  if (bits === 4 && own % 2 === 1) {
    const pointBytes = made.zeroPoints.length / out;
    for (let row = 0; row < out; row++) made.zeroPoints[(row + 1) * pointBytes - 1]! &= 15;
  }
  return made;
}
