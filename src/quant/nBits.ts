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

/** Columns of the packed matrix: with 4 bits those of the blocks' means come on top. */
export const nBitsWidth = (bits: 4 | 8, width: number) => (bits === 4 ? width + width / nBitsBlock : width);

/** Sizes of its parts. */
export function nBitsShape(bits: 4 | 8, out: number, width: number) {
  const blocks = Math.ceil(nBitsWidth(bits, width) / nBitsBlock);
  return {
    codes: [out, blocks, (nBitsBlock * bits) / 8],
    scales: [out, blocks],
    zeroPoints: [out, Math.ceil((blocks * bits) / 8)],
  };
}

/** Parts of the range that are tried: cutting the extremes off makes the steps between them smaller. */
const shrinks = [1, 0.94, 0.88];

interface Grid {
  step: number;
  low: number;
}

/** Sum of squared errors of x[from, from + block) on a grid of 16 levels. */
function error4(x: Float32Array, from: number, { step, low }: Grid): number {
  let sum = 0;
  for (let i = from; i < from + nBitsBlock; i++) {
    const level = Math.min(15, Math.max(0, Math.round((x[i]! - low) / step)));
    const e = low + level * step - x[i]!;
    sum += e * e;
  }
  return sum;
}

/** The best of a few grids for a block: among them those of Q4_1 and Q4_0, so that such a block comes out as it is. */
function grid4(x: Float32Array, from: number): Grid {
  let low = x[from]!;
  let high = low;
  for (let i = from + 1; i < from + nBitsBlock; i++) {
    const v = x[i]!;
    if (v < low) low = v;
    else if (v > high) high = v;
  }
  if (low === high) return { step: low === 0 ? 1 : low, low: 0 };
  const tiny = (high - low) ** 2 * 1e-7;
  let best: Grid = { step: (high - low) / 15, low };
  let least = error4(x, from, best);
  const consider = (grid: Grid) => {
    const e = error4(x, from, grid);
    if (e < least) [best, least] = [grid, e];
  };
  if (least > tiny) {
    const step = (-low > high ? low : high) / -8;
    consider({ step, low: -8 * step });
  }
  if (least > tiny) {
    for (const shrink of shrinks.slice(1)) {
      const [middle, half] = [(low + high) / 2, ((high - low) / 2) * shrink];
      consider({ step: (2 * half) / 15, low: middle - half });
    }
  }
  return best;
}

/** A matrix [out, width] in 4 bits, with the columns for the blocks' means. */
export function packBits4(weight: Float32Array, out: number, width: number): NBitsCodes {
  const own = width / nBitsBlock;
  const blocks = Math.ceil(nBitsWidth(4, width) / nBitsBlock);
  const codes = new Uint8Array(out * blocks * (nBitsBlock / 2));
  const scales = new Float32Array(out * blocks);
  const pointBytes = Math.ceil(blocks / 2);
  const zeroPoints = new Uint8Array(out * pointBytes);
  const setPoint = (row: number, block: number, point: number) => {
    zeroPoints[row * pointBytes + (block >> 1)]! |= point << (4 * (block & 1));
  };
  const setCode = (row: number, block: number, i: number, code: number) => {
    codes[(row * blocks + block) * (nBitsBlock / 2) + (i >> 1)]! |= code << (4 * (i & 1));
  };
  const rests = new Float32Array(own);
  for (let row = 0; row < out; row++) {
    for (let b = 0; b < own; b++) {
      const from = row * width + b * nBitsBlock;
      const { step, low } = grid4(weight, from);
      const point = Math.min(15, Math.max(0, Math.round(-low / step)));
      scales[row * blocks + b] = step;
      setPoint(row, b, point);
      rests[b] = (low + step * point) * nBitsBlock;
      for (let i = 0; i < nBitsBlock; i++) {
        setCode(row, b, i, Math.min(15, Math.max(0, Math.round((weight[from + i]! - low) / step))));
      }
    }
    for (let b = own; b < blocks; b++) {
      const first = (b - own) * nBitsBlock;
      const part = rests.subarray(first, Math.min(own, first + nBitsBlock));
      const [low, high] = [Math.min(0, ...part), Math.max(0, ...part)];
      const step = (high - low) / 15 || 1;
      const point = Math.round(-low / step);
      scales[row * blocks + b] = step;
      setPoint(row, b, point);
      for (let i = 0; i < nBitsBlock; i++) {
        setCode(row, b, i, Math.min(15, Math.max(0, Math.round((part[i] ?? 0) / step) + point)));
      }
    }
  }
  return { codes, scales, zeroPoints };
}

/** A matrix [out, width] in 8 bits. */
export function packBits8(weight: Float32Array, out: number, width: number): NBitsCodes {
  const blocks = width / nBitsBlock;
  const codes = new Uint8Array(out * width);
  const scales = new Float32Array(out * blocks);
  const zeroPoints = new Uint8Array(out * blocks);
  for (let at = 0; at < out * blocks; at++) {
    const from = at * nBitsBlock;
    let [low, high] = [0, 0];
    for (let i = from; i < from + nBitsBlock; i++) {
      if (weight[i]! < low) low = weight[i]!;
      else if (weight[i]! > high) high = weight[i]!;
    }
    const step = (high - low) / 255 || 1;
    const point = Math.round(-low / step);
    scales[at] = step;
    zeroPoints[at] = point;
    for (let i = from; i < from + nBitsBlock; i++) {
      codes[i] = Math.min(255, Math.max(0, Math.round(weight[i]! / step) + point));
    }
  }
  return { codes, scales, zeroPoints };
}
