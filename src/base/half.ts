// IEEE half and bfloat16 <-> float32. Storage only: nothing computes in these types on a CPU.

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** float16 bits -> number, subnormals, infinities and NaN included. */
export function halfToFloat(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 0x1f;
  const fraction = h & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** number -> float16 bits, round to nearest even, overflow to infinity. */
export function floatToHalf(x: number): number {
  f32[0] = x;
  const bits = u32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  if (exponent === 0xff) return sign | 0x7c00 | (bits & 0x7fffff ? 0x200 : 0);
  const magnitude = Math.abs(f32[0]!);
  if (magnitude >= 65520) return sign | 0x7c00;
  const scale = Math.max(exponent - 127, -14);
  const steps = magnitude * 2 ** (10 - scale);
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor & 1) ? floor + 1 : floor;
  // `rounded` may reach 2048 and carry into the exponent: adding does the right thing.
  return sign | (rounded + (scale === -14 && rounded < 1024 ? 0 : (scale + 14) << 10));
}

let halfTable: Float32Array | undefined;

/** All 65,536 halves, built on first use: decoding a tensor is one look-up an element. */
function halves(): Float32Array {
  if (!halfTable) {
    halfTable = new Float32Array(0x10000);
    for (let i = 0; i < 0x10000; i++) halfTable[i] = halfToFloat(i);
  }
  return halfTable;
}

export function halfArrayToFloat(src: Uint16Array, dst: Float32Array = new Float32Array(src.length)): Float32Array {
  const table = halves();
  for (let i = 0; i < src.length; i++) dst[i] = table[src[i]!]!;
  return dst;
}

export function bfloatArrayToFloat(src: Uint16Array, dst: Float32Array = new Float32Array(src.length)): Float32Array {
  const bits = new Uint32Array(dst.buffer, dst.byteOffset, dst.length);
  for (let i = 0; i < src.length; i++) bits[i] = src[i]! << 16;
  return dst;
}
