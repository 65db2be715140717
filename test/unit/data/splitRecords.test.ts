import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { epochOrder, splitRecords } from '../../../src/data/index.ts';

const items = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('splitRecords', () => {
  it('is a partition that keeps the order, of the size asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), fc.integer(), (n, k, seed) => {
        const size = k % n;
        const { train, val } = splitRecords(items(n), size, createRng(seed));
        expect(val).toHaveLength(size);
        expect([...train, ...val].sort((a, b) => a - b)).toEqual(items(n));
        for (const part of [train, val]) expect(part).toEqual([...part].sort((a, b) => a - b));
      }),
    );
  });

  it('repeats with the seed, differs with another, and is not just a block of rows', () => {
    const val = (seed: number) => splitRecords(items(1000), 50, createRng(seed)).val;
    expect(val(42)).toEqual(val(42));
    expect(val(42)).not.toEqual(val(43));
    expect(val(42).filter((i) => i < 500).length).toBeGreaterThan(10);
    expect(val(42).filter((i) => i >= 500).length).toBeGreaterThan(10);
  });

  it.each([
    [0.1, 30, 3],
    [0.07, 100, 7],
    [0.001, 10, 1],
    [0.5, 3, 2],
  ])('takes the fraction %d of %d as %d rows', (fraction, n, count) => {
    expect(splitRecords(items(n), fraction, createRng(1)).val).toHaveLength(count);
  });

  it('leaves something to train on', () => {
    expect(() => splitRecords(items(200), 2000, createRng(1))).toThrowError(
      expect.objectContaining({
        code: 'USAGE',
        exitCode: 2,
        message:
          'the validation set would take 2000 rows, but there are only 200: at least one must be left to train on',
      }),
    );
    for (const [n, size] of [
      [5, 5],
      [1, 0.5],
      [3, 0.99],
      [0, 1],
    ] as const) {
      expect(() => splitRecords(items(n), size, createRng(1))).toThrowError(expect.objectContaining({ code: 'USAGE' }));
    }
    for (const size of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => splitRecords(items(9), size, createRng(1))).toThrowError(/whole number of rows or a fraction/);
    }
  });
});

describe('epochOrder', () => {
  it('is a permutation, the same for the same seed and epoch, another for another', () => {
    const order = epochOrder(50, 7, 0);
    expect([...order].sort((a, b) => a - b)).toEqual(items(50));
    expect(order).not.toEqual(items(50));
    expect(epochOrder(50, 7, 0)).toEqual(order);
    expect(epochOrder(50, 7, 1)).not.toEqual(order);
    expect(epochOrder(50, 8, 0)).not.toEqual(order);
    expect(epochOrder(0, 7, 0)).toEqual([]);
  });

  it('does not change between versions: a resumed run goes on with the same rows', () => {
    expect(epochOrder(8, 42, 0)).toEqual([0, 2, 3, 4, 1, 5, 7, 6]);
  });
});
