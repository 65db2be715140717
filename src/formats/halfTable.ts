// All 65,536 halves as float32: the scale of a block is then one look-up, which keeps dequantising loops tight.
import { halfArrayToFloat } from '../base/index.ts';

let table: Float32Array | undefined;

/** Index: the 16 bits of a half. Built on first use, 256 KiB. */
export function halfTable(): Float32Array {
  table ??= halfArrayToFloat(Uint16Array.from({ length: 0x10000 }, (_, bits) => bits));
  return table;
}
