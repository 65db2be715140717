// Tensors cut over shards are read as if they had never been cut, whatever their sizes and the rows that are asked for.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { TensorReader } from '../../../src/models/index.ts';
import { joinShards, readJoined } from '../../../src/models/metaShards.ts';
import { expectSameFloats } from '../formats/helpers.ts';

const wo = 'layers.0.attention.wo.weight';

/** Shards of wo, of a matrix cut by rows or columns, and of a norm; `reads` are the most numbers asked for at once. */
function cut(name: string, whole: Float32Array, rows: number, width: number, count: number, by: 'rows' | 'columns') {
  const reads = { most: 0 };
  const shards = Array.from({ length: count }, (_, n): TensorReader => {
    const shape = by === 'rows' ? [rows / count, width] : [rows, width / count];
    const [r, w] = shape as [number, number];
    const own = new Float32Array(r * w);
    for (let i = 0; i < r; i++) {
      const from = by === 'rows' ? (n * r + i) * width : i * width + n * w;
      own.set(whole.subarray(from, from + w), i * w);
    }
    return {
      name: `consolidated.0${n}.pth`,
      tensors: new Map([
        [name, { shape, dtype: 'F16' }],
        ['norm.weight', { shape: [width], dtype: 'F16' }],
        [wo, { shape: [8, 8 / count], dtype: 'F16' }],
      ]),
      async readFloat32(asked, first = 0, last = r) {
        reads.most = Math.max(reads.most, (last - first) * w);
        return asked === name ? own.slice(first * w, last * w) : new Float32Array(width).fill(n);
      },
      close: async () => {},
    };
  });
  return { shards, reads };
}

it('by rows, by columns, and not at all', async () => {
  const sizes = fc.record({
    each: fc.integer({ min: 1, max: 5 }),
    other: fc.integer({ min: 1, max: 7 }),
    count: fc.constantFrom(1, 2, 4, 8),
    by: fc.constantFrom('rows' as const, 'columns' as const),
    from: fc.nat(40),
    length: fc.nat(40),
  });
  await fc.assert(
    fc.asyncProperty(sizes, async ({ each, other, count, by, from, length }) => {
      const [rows, width] = by === 'rows' ? [each * count, other] : [other, each * count];
      const whole = Float32Array.from({ length: rows * width }, (_, i) => i);
      const name = by === 'rows' ? 'output.weight' : 'layers.0.feed_forward.w2.weight';
      const { shards } = cut(name, whole, rows, width, count, by);
      const joined = joinShards(shards, { dim: 8, attention: 8 });
      const tensor = joined.get(name)!;
      expect(tensor.shape).toEqual([rows, width]);
      const first = Math.min(from, rows);
      const last = Math.min(first + length, rows);
      expectSameFloats(await readJoined(shards, tensor, [first, last]), whole.subarray(first * width, last * width));
      const norm = joined.get('norm.weight')!;
      expect([...(await readJoined(shards, norm, [0, 1]))]).toEqual(new Array(width).fill(0));
    }),
  );
});

it.each(['rows', 'columns'] as const)('large ones by %s in pieces, not whole', async (by) => {
  const [rows, width] = [300, 8192];
  const whole = Float32Array.from({ length: rows * width }, (_, i) => i % 65521);
  const name = by === 'rows' ? 'output.weight' : 'layers.0.feed_forward.w2.weight';
  const { shards, reads } = cut(name, whole, rows, width, 2, by);
  const tensor = joinShards(shards, { dim: 8, attention: 8 }).get(name)!;
  expectSameFloats(await readJoined(shards, tensor, [0, rows]), whole);
  expect(reads.most).toBeLessThanOrEqual(1 << 20);
});

it('an embedding by whichever of its sides is short', () => {
  const shard = (shape: number[]): TensorReader => ({
    name: 'x',
    tensors: new Map([
      ['tok_embeddings.weight', { shape, dtype: 'F16' }],
      [wo, { shape: [8, 4], dtype: 'F16' }],
    ]),
    readFloat32: async () => new Float32Array(),
    close: async () => {},
  });
  const joined = (shape: number[]) =>
    joinShards([shard(shape), shard(shape)], { dim: 8, attention: 8 }).get('tok_embeddings.weight');
  expect(joined([100, 4])).toMatchObject({ shape: [100, 8], cut: 'columns' });
  expect(joined([50, 8])).toMatchObject({ shape: [100, 8], cut: 'rows' });
});
