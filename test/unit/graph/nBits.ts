// Random matrices in 4 or 8 bits, and inputs for them that rounding to 8 bits a block leaves as they are.
import { input, type NBitsMatrix, type Shape, type Value } from '../../../src/graph/index.ts';
import type { Scene } from '../../helpers/scene.ts';
import { mapRows } from '../../helpers/tensor.ts';

/** Codes and zero points are any bytes, those that stand for no column included. */
export function nBits(
  s: Scene,
  name: string,
  m: { out: number; in: number; bits: 4 | 8; block: number; means?: boolean },
): NBitsMatrix {
  const blocks = Math.ceil(m.in / m.block);
  const bytes = (part: string, shape: Shape) => {
    s.indices(`${name}.${part}`, shape, 256);
    return input(`${name}.${part}`, shape, 'uint8');
  };
  return {
    codes: bytes('codes', [m.out, blocks, (m.block * m.bits) / 8]),
    scales: s.constant(`${name}.scales`, [m.out, blocks]),
    zeroPoints: bytes('zeroPoints', [m.out, Math.ceil((blocks * m.bits) / 8)]),
    bits: m.bits,
    block: m.block,
    in: m.in,
    means: m.means ?? false,
  };
}

/** Whole numbers, the largest of each 16 being 127 or -127: with a scale of 1, they are their own codes. */
export function wholeRows(s: Scene, name: string, shape: Shape): Value {
  const x = s.constant(name, shape);
  s.feeds[name] = mapRows(s.feeds[name]!, (row, r) =>
    row.map((v, i) => (i % 16 === 0 ? (r % 2 ? -127 : 127) : Math.trunc(v * 63))),
  );
  return x;
}
