import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lengthStats } from '../../../src/data/index.ts';
import { exampleOf } from './toyEncoder.ts';

it('sums up lengths', () => {
  const examples = Array.from({ length: 100 }, (_, i) => exampleOf(i + 1, i + 1, 2));
  examples[99] = { ...examples[99]!, truncated: true };
  expect(lengthStats(examples, 4)).toEqual({
    rows: 100,
    totalTokens: 5050,
    targetTokens: 197,
    truncatedRows: 1,
    truncatedShare: 0.01,
    min: 1,
    max: 100,
    mean: 50.5,
    percentiles: { p50: 50, p90: 90, p95: 95, p99: 99 },
    histogram: [
      { from: 1, to: 25, count: 25 },
      { from: 26, to: 50, count: 25 },
      { from: 51, to: 75, count: 25 },
      { from: 76, to: 100, count: 25 },
    ],
  });
});

it('puts every length into one of at most so many bins', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 20 }),
      (lengths, bins) => {
        const { histogram, min, max } = lengthStats(
          lengths.map((n) => exampleOf(n)),
          bins,
        );
        expect(histogram.length).toBeLessThanOrEqual(bins);
        expect([histogram[0]!.from, histogram.at(-1)!.to]).toEqual([min, max]);
        for (const [i, bin] of histogram.entries()) {
          expect(bin.count).toBe(lengths.filter((n) => n >= bin.from && n <= bin.to).length);
          if (i > 0) expect(bin.from).toBe(histogram[i - 1]!.to + 1);
        }
        expect(histogram.reduce((sum, bin) => sum + bin.count, 0)).toBe(lengths.length);
      },
    ),
  );
});

it('has zeros for no rows, and refuses no bins', () => {
  expect(lengthStats([])).toMatchObject({ rows: 0, totalTokens: 0, truncatedShare: 0, mean: 0, max: 0, histogram: [] });
  expect(lengthStats([]).percentiles).toEqual({ p50: 0, p90: 0, p95: 0, p99: 0 });
  expect(() => lengthStats([], 0)).toThrowError(expect.objectContaining({ code: 'USAGE' }));
});
