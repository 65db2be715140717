// Scales of keys and values in 8 bits: three looks find them, whatever they were before.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { betterScales, firstScale } from '../../../src/runner/kvScales.ts';

const [heads, tokens, headDim] = [2, 40, 8];
const columns = heads * headDim;

/** What the engine would hold of values [heads, tokens, headDim]. */
const codesOf = (values: Float32Array, scales: Float32Array) =>
  Int8Array.from(values, (x, at) => {
    const column = Math.floor(at / (tokens * headDim)) * headDim + (at % headDim);
    return Math.max(-128, Math.min(127, Math.round(x / scales[column]!)));
  });

function scalesAfter(looks: number, values: Float32Array, pairs: boolean) {
  let scales = new Float32Array(columns).fill(firstScale);
  for (let i = 0; i < looks; i++)
    scales = new Float32Array(betterScales(codesOf(values, scales), scales, { headDim, pairs }));
  return scales;
}

/** Columns of very different sizes. */
function columnsOf(seed: number, spread: number): Float32Array {
  const rng = createRng(seed);
  const sizes = Array.from({ length: columns }, () => 10 ** (spread * (2 * rng.uniform() - 1)));
  return Float32Array.from({ length: heads * tokens * headDim }, (_, at) => {
    const column = Math.floor(at / (tokens * headDim)) * headDim + (at % headDim);
    return sizes[column]! * (2 * rng.uniform() - 1);
  });
}

const largestOf = (values: Float32Array, column: number) => {
  const [head, i] = [Math.floor(column / headDim), column % headDim];
  return Math.max(...Array.from({ length: tokens }, (_, t) => Math.abs(values[(head * tokens + t) * headDim + i]!)));
};

describe('after three looks', () => {
  it('values have room for half as much again, and not for more than twice as much', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1.5, noNaN: true }), (seed, spread) => {
        const values = columnsOf(seed, spread);
        for (const [column, scale] of scalesAfter(3, values, false).entries()) {
          const room = (scale * 127) / largestOf(values, column);
          expect(room).toBeGreaterThan(1.4);
          expect(room).toBeLessThan(2);
        }
      }),
    );
  });

  it('both of a pair have room for its length, however it is turned', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const values = columnsOf(seed, 0.7);
        const scales = scalesAfter(3, values, true);
        for (let head = 0; head < heads; head++) {
          for (let i = 0; i < headDim / 2; i++) {
            const [one, other] = [head * headDim + i, head * headDim + i + headDim / 2];
            expect(scales[one]).toBeCloseTo(scales[other]!, 5);
            for (let t = 0; t < tokens; t++) {
              const at = (head * tokens + t) * headDim;
              const length = Math.hypot(values[at + i]!, values[at + i + headDim / 2]!);
              expect(length).toBeLessThan(scales[one]! * 127);
            }
          }
        }
      }),
    );
  });
});

it('a column that is always 0 keeps a scale above 0', () => {
  const scales = scalesAfter(3, new Float32Array(heads * tokens * headDim), true);
  for (const s of scales) expect(s).toBeGreaterThan(0);
});
