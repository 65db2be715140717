// ggml's blocks of 32 elements to float32 (block_q4_0 ... block_q8_0 of ggml-common.h). A block starts with its scale
// d as a half; the `_1` types add a minimum m. Element j of a 4-bit block is the low nibble of byte j for j < 16, the
// high nibble of byte j - 16 after that; the 5-bit types keep the fifth bits in a 32-bit word, bit j for element j.
// A scale has 11 significant bits and a quant at most 8, so d * q is exact: every result is rounded once, as in ggml.
import { halfTable } from './halfTable.ts';

/** { half d; u8 q[16] }, d * (q - 8) */
export function dequantiseQ4_0(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 32, p += 18) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 2 + j];
      out[o + j] = d * ((q & 15) - 8);
      out[o + j + 16] = d * ((q >> 4) - 8);
    }
  }
}

/** { half d, m; u8 q[16] }, d * q + m */
export function dequantiseQ4_1(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 32, p += 20) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    const m = halves[bytes[p + 2] | (bytes[p + 3] << 8)];
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 4 + j];
      out[o + j] = d * (q & 15) + m;
      out[o + j + 16] = d * (q >> 4) + m;
    }
  }
}

/** { half d; u32 high; u8 q[16] }, d * (q - 16) */
export function dequantiseQ5_0(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 32, p += 22) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    const high = fifthBits(bytes, p + 2);
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 6 + j];
      out[o + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[o + j + 16] = d * (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** { half d, m; u32 high; u8 q[16] }, d * q + m */
export function dequantiseQ5_1(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 32, p += 24) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    const m = halves[bytes[p + 2] | (bytes[p + 3] << 8)];
    const high = fifthBits(bytes, p + 4);
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 8 + j];
      out[o + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m;
      out[o + j + 16] = d * ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** { half d; i8 q[32] }, d * q */
export function dequantiseQ8_0(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 32, p += 34) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    for (let j = 0; j < 32; j++) out[o + j] = d * ((bytes[p + 2 + j] << 24) >> 24);
  }
}

function fifthBits(bytes: Uint8Array, p: number): number {
  return bytes[p] | (bytes[p + 1] << 8) | (bytes[p + 2] << 16) | (bytes[p + 3] << 24);
}
