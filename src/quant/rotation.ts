// Orthonormal, symmetric rotations (each its own inverse) that spread outliers over many columns, so that one scale a row
// is enough for 8 bits (QuaRot, Ashkboos et al. 2024). A rotation works on groups of block * across neighbouring
// columns: a Hadamard matrix inside each block, and a Hartley matrix, times Hadamard, across the blocks of a group.

export interface Rotation {
  /** Columns in a block, a power of two up to 64; 1 together with across 1: nothing is rotated. */
  readonly block: number;
  /** Blocks that are mixed with each other. */
  readonly across: number;
}

export const noRotation: Rotation = { block: 1, across: 1 };
export const rotates = (r: Rotation) => r.block * r.across > 1;

const powerOfTwoIn = (n: number) => n & -n;

/** The largest power of two up to 64 that divides `width`. */
export const blockFor = (width: number) => Math.min(64, powerOfTwoIn(width));

/** Mixes within blocks only: cheap enough to be done while the model runs. */
export const blockRotation = (width: number): Rotation => ({ block: blockFor(width), across: 1 });

/** Mixes all columns of a width: for bases that cost nothing at run time. */
export const fullRotation = (width: number): Rotation => ({ block: blockFor(width), across: width / blockFor(width) });

/** Hadamard matrix [n, n] in Sylvester's order, row-major; n is a power of two. */
export function hadamard(n: number): Float32Array {
  return matrix(n, (i, j) => {
    let bits = i & j;
    let odd = 0;
    while (bits) {
      odd ^= bits & 1;
      bits >>= 1;
    }
    return (odd ? -1 : 1) / Math.sqrt(n);
  });
}

/** Discrete Hartley transform (1942): like Fourier's, but real and symmetric, and there is one for every n. */
function hartley(n: number): Float32Array {
  return matrix(n, (i, j) => {
    const angle = (2 * Math.PI * ((i * j) % n)) / n;
    return (Math.cos(angle) + Math.sin(angle)) / Math.sqrt(n);
  });
}

function matrix(n: number, element: (i: number, j: number) => number): Float32Array {
  return Float32Array.from({ length: n * n }, (_, k) => element(Math.floor(k / n), k % n));
}

/** The matrix [across, across] that mixes blocks: Hartley of the odd part (x) Hadamard of the rest. */
export function acrossMatrix(across: number): Float32Array {
  const even = powerOfTwoIn(across);
  const [outer, inner] = [hartley(across / even), hadamard(even)];
  const odd = across / even;
  return matrix(across, (i, j) => {
    const o = outer[Math.floor(i / even) * odd + Math.floor(j / even)]!;
    return o * inner[(i % even) * even + (j % even)]!;
  });
}

/** Fast Walsh-Hadamard transform of elements start + k * stride, k < length, in place, in blocks. */
function transformLine(data: Float32Array, start: number, stride: number, length: number, block: number): void {
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

/** Rotates one line of a matrix; made once per matrix, since the small matrix across blocks is worth keeping. */
function lineRotator(r: Rotation) {
  const even = r.block * powerOfTwoIn(r.across);
  const odd = r.across / powerOfTwoIn(r.across);
  const mix = hartley(odd);
  const held = new Float64Array(odd);
  return (data: Float32Array, start: number, stride: number, length: number) => {
    transformLine(data, start, stride, length, even);
    if (odd === 1) return;
    const step = even * stride;
    for (let group = 0; group < length; group += even * odd) {
      for (let i = 0; i < even; i++) {
        const first = start + (group + i) * stride;
        for (let o = 0; o < odd; o++) held[o] = data[first + o * step]!;
        for (let o = 0; o < odd; o++) {
          let sum = 0;
          for (let k = 0; k < odd; k++) sum += mix[o * odd + k]! * held[k]!;
          data[first + o * step] = sum;
        }
      }
    }
  };
}

/** Rotates each row of a matrix [rows, cols] in place. */
export function rotateRows(data: Float32Array, rows: number, cols: number, r: Rotation): void {
  if (!rotates(r)) return;
  const rotate = lineRotator(r);
  for (let row = 0; row < rows; row++) rotate(data, row * cols, 1, cols);
}

/** Rotates each column of a matrix [rows, cols] in place. */
export function rotateColumns(data: Float32Array, rows: number, cols: number, r: Rotation): void {
  if (!rotates(r)) return;
  const rotate = lineRotator(r);
  for (let col = 0; col < cols; col++) rotate(data, col, cols, rows);
}
