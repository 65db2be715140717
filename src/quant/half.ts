// float32 -> IEEE half, many at a time: on the bits, because 2 ** n costs more than everything else.

/** The bits of float16 for each number: round to nearest even, overflow to infinity. */
export function floatArrayToHalf(src: Float32Array, dst: Uint16Array = new Uint16Array(src.length)): Uint16Array {
  const bits = new Uint32Array(src.buffer, src.byteOffset, src.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    const sign = (b >>> 16) & 0x8000;
    const magnitude = b & 0x7fffffff;
    if (magnitude >= 0x38800000) {
      // From 2^-14 on the fraction loses 13 bits, and what they round up may carry into the exponent, up to infinity.
      const rounded = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
      dst[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : Math.min(rounded, 0x7c00));
    } else {
      // Steps of 2^-24: the product with 2^24 is exact, and so is what is left of it.
      const steps = Math.abs(src[i]!) * 0x1000000;
      const floor = steps | 0;
      const rest = steps - floor;
      dst[i] = sign | (rest > 0.5 || (rest === 0.5 && floor & 1) ? floor + 1 : floor);
    }
  }
  return dst;
}
