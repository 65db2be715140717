// The loops that pack rows in 8 bits; see nBits.ts. Plain loops over typed arrays, because every weight of a model passes here.
import { type NBitsCodes, nBitsBlock, nBitsWidth } from './nBits.ts';

/**
 * Rows [n, width] to their place in `to`, from row `first` on: 256 even steps from the smallest to the largest weight of a
 * block, each row with the columns for its blocks' means behind it. 16 levels of Q4_1 are every 17th of those steps, so such
 * weights lose nothing, which greedy answers show: 8 of 24 were those of fp32 without these columns (SmolLM2-135M).
 */
export function packRows8(rows: Float32Array, width: number, to: NBitsCodes, first: number): void {
  const { codes, scales, zeroPoints } = to;
  const own = width / nBitsBlock;
  const blocks = Math.ceil(nBitsWidth(width) / nBitsBlock);
  const rests = new Float32Array((blocks - own) * nBitsBlock);
  for (let from = 0, row = first; from < rows.length; from += width, row++) {
    for (let b = 0; b < blocks; b++) {
      const source = b < own ? rows : rests;
      const start = b < own ? from + b * nBitsBlock : (b - own) * nBitsBlock;
      // Columns of means start from 0: nothing is behind them to make up for it.
      let low = b < own ? source[start]! : 0;
      let high = low;
      for (let i = start; i < start + nBitsBlock; i++) {
        const v = source[i]!;
        if (v < low) low = v;
        else if (v > high) high = v;
      }
      const step = (high - low) / 255 || 1;
      const point = Math.min(255, Math.max(0, Math.round(-low / step)));
      const block = row * blocks + b;
      scales[block] = step;
      zeroPoints[block] = point;
      const origin = b < own ? low : -point * step;
      if (b < own) rests[b] = (low + step * point) * nBitsBlock;
      const at = block * nBitsBlock - start;
      for (let i = start; i < start + nBitsBlock; i++) {
        codes[at + i] = Math.min(255, Math.max(0, Math.round((source[i]! - origin) / step)));
      }
    }
  }
}
