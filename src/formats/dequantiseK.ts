// ggml's "K" super-blocks of 256 elements to float32 (block_q4_K, block_q5_K, block_q6_K of ggml-common.h).
// A super-block has one or two half scales, and a 6- or 8-bit scale for each run of 32 or 16 elements in it.
// All products before the last step have at most 24 significant bits, so each result is rounded once, as in ggml.
import { halfTable } from './halfTable.ts';

/**
 * 6-bit scale of run j (0 to 7) from the 12 bytes at p; its 6-bit minimum is the other function.
 * Runs 0-3 lie in the low six bits of bytes 0-3 (scales) and 4-7 (minima); for runs 4-7 bytes 8-11 hold the low four
 * bits of both, and the top two bits of bytes 0-7 the rest.
 */
function scaleOf(bytes: Uint8Array, p: number, j: number): number {
  return j < 4 ? bytes[p + j] & 63 : (bytes[p + j + 4] & 15) | ((bytes[p + j - 4] >> 6) << 4);
}

function minimumOf(bytes: Uint8Array, p: number, j: number): number {
  return j < 4 ? bytes[p + j + 4] & 63 : (bytes[p + j + 4] >> 4) | ((bytes[p + j] >> 6) << 4);
}

/** { half d, dmin; u8 scales[12]; u8 q[128] }: runs 2i and 2i + 1 are the low and the high nibbles of 32 bytes. */
export function dequantiseQ4K(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 256, p += 144) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    const dmin = halves[bytes[p + 2] | (bytes[p + 3] << 8)];
    for (let i = 0; i < 4; i++) {
      const lowScale = d * scaleOf(bytes, p + 4, 2 * i);
      const lowMinimum = dmin * minimumOf(bytes, p + 4, 2 * i);
      const highScale = d * scaleOf(bytes, p + 4, 2 * i + 1);
      const highMinimum = dmin * minimumOf(bytes, p + 4, 2 * i + 1);
      const from = p + 16 + 32 * i;
      const to = o + 64 * i;
      for (let j = 0; j < 32; j++) {
        const q = bytes[from + j];
        out[to + j] = lowScale * (q & 15) - lowMinimum;
        out[to + j + 32] = highScale * (q >> 4) - highMinimum;
      }
    }
  }
}

/** { half d, dmin; u8 scales[12]; u8 high[32]; u8 q[128] }: as Q4_K, and bit r of high[j] is the fifth bit in run r. */
export function dequantiseQ5K(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 256, p += 176) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    const dmin = halves[bytes[p + 2] | (bytes[p + 3] << 8)];
    for (let i = 0; i < 4; i++) {
      const lowScale = d * scaleOf(bytes, p + 4, 2 * i);
      const lowMinimum = dmin * minimumOf(bytes, p + 4, 2 * i);
      const highScale = d * scaleOf(bytes, p + 4, 2 * i + 1);
      const highMinimum = dmin * minimumOf(bytes, p + 4, 2 * i + 1);
      const from = p + 48 + 32 * i;
      const to = o + 64 * i;
      for (let j = 0; j < 32; j++) {
        const q = bytes[from + j];
        const fifth = bytes[p + 16 + j] >> (2 * i);
        out[to + j] = lowScale * ((q & 15) | ((fifth & 1) << 4)) - lowMinimum;
        out[to + j + 32] = highScale * ((q >> 4) | ((fifth & 2) << 3)) - highMinimum;
      }
    }
  }
}

/**
 * { u8 low[128]; u8 high[64]; i8 scales[16]; half d }, d * scale * (q - 32). Each half of 128 elements has four runs
 * of 32: the low nibbles of 64 bytes, then their high nibbles; high[j] holds the upper two bits of element j of each
 * run. A scale covers 16 elements.
 */
export function dequantiseQ6K(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 256, p += 210) {
    const d = halves[bytes[p + 208] | (bytes[p + 209] << 8)];
    // Eight groups of 16 elements, each with a column of four scales.
    for (let g = 0; g < 4; g++) {
      const half = g >> 1;
      const column = g & 1;
      const scales = p + 192 + 8 * half + column;
      const d0 = d * ((bytes[scales] << 24) >> 24);
      const d1 = d * ((bytes[scales + 2] << 24) >> 24);
      const d2 = d * ((bytes[scales + 4] << 24) >> 24);
      const d3 = d * ((bytes[scales + 6] << 24) >> 24);
      const low = p + 64 * half + 16 * column;
      const high = p + 128 + 32 * half + 16 * column;
      const to = o + 128 * half + 16 * column;
      for (let j = 0; j < 16; j++) {
        const first = bytes[low + j];
        const second = bytes[low + j + 32];
        const top = bytes[high + j];
        out[to + j] = d0 * (((first & 15) | ((top & 3) << 4)) - 32);
        out[to + j + 32] = d1 * (((second & 15) | ((top & 12) << 2)) - 32);
        out[to + j + 64] = d2 * (((first >> 4) | (top & 48)) - 32);
        out[to + j + 96] = d3 * (((second >> 4) | ((top & 192) >> 2)) - 32);
      }
    }
  }
}
