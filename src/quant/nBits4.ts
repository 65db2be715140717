// The loops that pack rows in 4 bits; see nBits.ts. Plain loops over typed arrays, because every weight of a model passes here.
import { type NBitsCodes, nBitsBlock, nBitsWidth } from './nBits.ts';

/** Parts of a block's range that are tried: cutting the extremes off makes the steps between the levels smaller. */
const shrinks = [0.94, 0.88];
/** Of the squared range: with an error below it the grid is the block's own, and no other is tried. */
const tiny = 1e-7;

/** A block on a grid of 16 levels, low + level * step. */
interface Grid {
  step: number;
  low: number;
  /** Sum of squared errors. */
  error: number;
  levels: Uint8Array;
}

const emptyGrid = (): Grid => ({ step: 1, low: 0, error: 0, levels: new Uint8Array(nBitsBlock) });

/** Puts x[from, from + block) on the grid of `low` and `step`. */
function put(grid: Grid, x: Float32Array, from: number, low: number, step: number): void {
  const { levels } = grid;
  let error = 0;
  for (let i = 0; i < nBitsBlock; i++) {
    const v = x[from + i]!;
    let level = Math.round((v - low) / step);
    if (level < 0) level = 0;
    else if (level > 15) level = 15;
    levels[i] = level;
    const e = low + level * step - v;
    error += e * e;
  }
  grid.low = low;
  grid.step = step;
  grid.error = error;
}

/**
 * The best of a few grids for x[from, from + block), either `best` or `other`: among them those of Q4_1 and Q4_0, so that
 * such a block comes out as it is.
 */
function bestGrid(x: Float32Array, from: number, best: Grid, other: Grid): Grid {
  let low = x[from]!;
  let high = low;
  for (let i = from + 1; i < from + nBitsBlock; i++) {
    const v = x[i]!;
    if (v < low) low = v;
    else if (v > high) high = v;
  }
  if (low === high) {
    put(best, x, from, 0, low === 0 ? 1 : low);
    return best;
  }
  const enough = (high - low) ** 2 * tiny;
  put(best, x, from, low, (high - low) / 15);
  if (best.error > enough) {
    const step = (-low > high ? low : high) / -8;
    put(other, x, from, -8 * step, step);
    if (other.error < best.error) [best, other] = [other, best];
  }
  if (best.error > enough) {
    const middle = (low + high) / 2;
    for (const shrink of shrinks) {
      const half = ((high - low) / 2) * shrink;
      put(other, x, from, middle - half, (2 * half) / 15);
      if (other.error < best.error) [best, other] = [other, best];
    }
  }
  return best;
}

/** The zero point that comes nearest to the start of a grid. */
function zeroPoint({ low, step }: Grid): number {
  return Math.min(15, Math.max(0, Math.round(-low / step)));
}

/** Rows [n, width] to their place in `to`, from row `first` on, each with the columns for its blocks' means behind it. */
export function packRows4(rows: Float32Array, width: number, to: NBitsCodes, first: number): void {
  const { codes, scales, zeroPoints } = to;
  const own = width / nBitsBlock;
  const blocks = Math.ceil(nBitsWidth(width) / nBitsBlock);
  const pointBytes = Math.ceil(blocks / 2);
  const one = emptyGrid();
  const two = emptyGrid();
  // What whole zero points leave of each block, times the block: the columns of the means.
  const rests = new Float32Array((blocks - own) * nBitsBlock);
  const write = (block: number, row: number, levels: Uint8Array, step: number, point: number) => {
    scales[row * blocks + block] = step;
    zeroPoints[row * pointBytes + (block >> 1)]! |= point << (4 * (block & 1));
    const at = (row * blocks + block) * (nBitsBlock / 2);
    for (let i = 0; i < nBitsBlock / 2; i++) codes[at + i] = levels[2 * i]! | (levels[2 * i + 1]! << 4);
  };
  for (let from = 0, row = first; from < rows.length; from += width, row++) {
    for (let b = 0; b < own; b++) {
      const grid = bestGrid(rows, from + b * nBitsBlock, one, two);
      const point = zeroPoint(grid);
      rests[b] = (grid.low + grid.step * point) * nBitsBlock;
      write(b, row, grid.levels, grid.step, point);
    }
    for (let b = own; b < blocks; b++) {
      const start = (b - own) * nBitsBlock;
      let low = 0;
      let high = 0;
      for (let i = start; i < start + nBitsBlock; i++) {
        low = Math.min(low, rests[i]!);
        high = Math.max(high, rests[i]!);
      }
      const step = (high - low) / 15 || 1;
      const point = Math.round(-low / step);
      for (let i = 0; i < nBitsBlock; i++) {
        one.levels[i] = Math.min(15, Math.max(0, Math.round((rests[start + i]! + point * step) / step)));
      }
      write(b, row, one.levels, step, point);
    }
  }
}
