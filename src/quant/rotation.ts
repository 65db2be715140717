// Blockwise Hadamard rotation: orthonormal, symmetric, its own inverse. It spreads an outlier over its block, so that
// one scale a row is enough for 8 bits (QuaRot, Ashkboos et al. 2024).

/** The largest power of two up to 64 that divides `width`. */
export function blockFor(width: number): number {
  let block = 1;
  while (block < 64 && width % (block * 2) === 0) block *= 2;
  return block;
}

/** The matrix [block, block], row-major; `block` is a power of two. */
export function hadamard(block: number): Float32Array {
  const m = new Float32Array(block * block);
  const norm = 1 / Math.sqrt(block);
  for (let i = 0; i < block; i++) {
    for (let j = 0; j < block; j++) {
      let bits = i & j;
      let odd = 0;
      while (bits) {
        odd ^= bits & 1;
        bits >>= 1;
      }
      m[i * block + j] = odd ? -norm : norm;
    }
  }
  return m;
}

/** Rotates in place along an axis: elements `start + k * stride`, k < length, in blocks. Fast Walsh-Hadamard. */
function rotateLine(data: Float32Array, start: number, stride: number, length: number, block: number): void {
  const norm = 1 / Math.sqrt(block);
  for (let b = 0; b < length; b += block) {
    const base = start + b * stride;
    for (let half = 1; half < block; half *= 2) {
      for (let i = 0; i < block; i += half * 2) {
        for (let j = i; j < i + half; j++) {
          const p = base + j * stride;
          const q = p + half * stride;
          const x = data[p]!;
          const y = data[q]!;
          data[p] = x + y;
          data[q] = x - y;
        }
      }
    }
    for (let i = 0; i < block; i++) data[base + i * stride]! *= norm;
  }
}

/** Rotates each row of a matrix [rows, cols] in place, in blocks along the columns. */
export function rotateRows(data: Float32Array, rows: number, cols: number, block: number): void {
  if (block > 1) for (let r = 0; r < rows; r++) rotateLine(data, r * cols, 1, cols, block);
}

/** Rotates each column of a matrix [rows, cols] in place, in blocks along the rows. */
export function rotateColumns(data: Float32Array, rows: number, cols: number, block: number): void {
  if (block > 1) for (let c = 0; c < cols; c++) rotateLine(data, c, cols, rows, block);
}
