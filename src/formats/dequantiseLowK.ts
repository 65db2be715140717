// ggml's super-blocks of 256 elements with two and three bits each (block_q2_K, block_q3_K of ggml-common.h). In both, 32
// bytes hold the low bits of 128 elements: bits 0-1 of byte j those of element j, bits 2-3 of element 32 + j, and so on.
// As with the others of this family every product is exact, so each result is rounded once, as in ggml.
import { halfTable } from './halfTable.ts';

/** { u8 scales[16]; u8 q[64]; half d, dmin }, d * (low nibble) * q - dmin * (high nibble); a scale covers 16 elements. */
export function dequantiseQ2K(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 256, p += 84) {
    const d = halves[bytes[p + 80] | (bytes[p + 81] << 8)];
    const dmin = halves[bytes[p + 82] | (bytes[p + 83] << 8)];
    for (let run = 0; run < 16; run++) {
      const scale = d * (bytes[p + run] & 15);
      const minimum = dmin * (bytes[p + run] >> 4);
      const shift = run & 6;
      const from = p + 16 + 32 * (run >> 3) + 16 * (run & 1);
      const to = o + 16 * run;
      for (let j = 0; j < 16; j++) out[to + j] = scale * ((bytes[from + j] >> shift) & 3) - minimum;
    }
  }
}

/**
 * { u8 high[32]; u8 q[64]; u8 scales[12]; half d }, d * (scale - 32) * q, where q is two bits and less 4 unless bit e / 32
 * of high[e % 32] is set. The 16 scales: low four bits in the low, then the high nibbles of eight bytes, the top two bits in
 * the four bytes behind them, bits 0-1 for scales 0-3 and so on.
 */
export function dequantiseQ3K(bytes: Uint8Array, out: Float32Array): void {
  const halves = halfTable();
  for (let o = 0, p = 0; o < out.length; o += 256, p += 110) {
    const d = halves[bytes[p + 108] | (bytes[p + 109] << 8)];
    for (let run = 0; run < 16; run++) {
      const low = (bytes[p + 96 + (run & 7)] >> (4 * (run >> 3))) & 15;
      const top = (bytes[p + 104 + (run & 3)] >> (2 * (run >> 2))) & 3;
      const scale = d * ((low | (top << 4)) - 32);
      const shift = run & 6;
      const column = 16 * (run & 1);
      const from = p + 32 + 32 * (run >> 3) + column;
      const to = o + 16 * run;
      for (let j = 0; j < 16; j++) {
        const third = (bytes[p + column + j] >> (run >> 1)) & 1;
        out[to + j] = scale * (((bytes[from + j] >> shift) & 3) - 4 + 4 * third);
      }
    }
  }
}
