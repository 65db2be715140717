// ggml's 4-bit types with levels that are not evenly spaced (block_iq4_nl, block_iq4_xs and kvalues_iq4nl of ggml-common.h).
// In 32 elements byte j holds element j in its low and element 16 + j in its high nibble.
import { halfTable } from './halfTable.ts';

const levels = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** { half d; u8 q[16] }, d * level */
export function dequantiseIq4Nl(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 32, p += 18) {
    expand(bytes, p + 2, halves[bytes[p] | (bytes[p + 1] << 8)], out, o);
  }
}

/**
 * { half d; u16 high; u8 low[4]; u8 q[128] }, d * (scale - 32) * level; a scale of six bits covers 32 elements: four bits in
 * a nibble of `low`, low nibble first, the top two in `high`, from its lowest bits on.
 */
export function dequantiseIq4Xs(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 256, p += 136) {
    const d = halves[bytes[p] | (bytes[p + 1] << 8)];
    const high = bytes[p + 2] | (bytes[p + 3] << 8);
    for (let run = 0; run < 8; run++) {
      const low = (bytes[p + 4 + (run >> 1)] >> (4 * (run & 1))) & 15;
      const scale = (low | (((high >> (2 * run)) & 3) << 4)) - 32;
      expand(bytes, p + 8 + 16 * run, d * scale, out, o + 32 * run);
    }
  }
}

function expand(bytes: Uint8Array, from: number, scale: number, out: Float32Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    const q = bytes[from + j];
    out[to + j] = scale * levels[q & 15];
    out[to + j + 16] = scale * levels[q >> 4];
  }
}
