import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchPacks, packExamples } from '../../../src/data/index.ts';
import { exampleOf } from './toyEncoder.ts';

const lengthsOf = (lengths: number[]) => lengths.map((length, i) => exampleOf(length, i + 1));

describe('packExamples', () => {
  it('fills the tightest gap, and keeps the given order within and between packs', () => {
    const packs = packExamples(lengthsOf([3, 7, 5, 6, 4, 5]), { packLen: 10 });
    expect(packs.map((pack) => pack.segments.map((s) => s.line))).toEqual([
      [1, 2],
      [3, 6],
      [4, 5],
    ]);
    expect(packs.map((pack) => [pack.tokens, pack.targets])).toEqual([
      [10, 8],
      [10, 8],
      [10, 8],
    ]);
  });

  it('keeps every example exactly once, never exceeds, counts right, and leaves no two packs that would fit in one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.nat({ max: 1000 }), { maxLength: 60 }),
        (packLen, seeds) => {
          const examples = seeds.map((s, i) => exampleOf(1 + (s % packLen), i + 1, s % 7));
          const packs = packExamples(examples, { packLen });
          expect(packs.flatMap((p) => p.segments.map((s) => s.line)).sort((a, b) => a - b)).toEqual(
            examples.map((e) => e.line),
          );
          for (const pack of packs) {
            expect(pack.tokens).toBe(pack.segments.reduce((sum, s) => sum + s.ids.length, 0));
            expect(pack.targets).toBe(
              pack.segments.reduce((sum, s) => sum + s.targets.filter((t) => t !== -1).length, 0),
            );
            expect(pack.tokens).toBeLessThanOrEqual(packLen);
            expect(pack.segments.length).toBeGreaterThan(0);
            for (const segment of pack.segments) expect(examples).toContain(segment);
          }
          const [first = packLen, second = packLen] = packs.map((p) => p.tokens).sort((a, b) => a - b);
          expect(first + second).toBeGreaterThan(packLen);
          expect(packExamples(examples, { packLen })).toEqual(packs);
        },
      ),
    );
  });

  it('names both numbers when an example does not fit', () => {
    expect(() => packExamples([exampleOf(5, 1), exampleOf(12, 42)], { packLen: 10 })).toThrowError(
      expect.objectContaining({
        code: 'EXAMPLE_TOO_LONG',
        message: 'the row in line 42 has 12 tokens, but a pack holds 10',
      }),
    );
    expect(() => packExamples([], { packLen: 0 })).toThrowError(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('batchPacks', () => {
  it('packs the examples of each step by themselves', () => {
    const steps = batchPacks(lengthsOf([4, 4, 4, 4, 4, 4, 4]), { batchSize: 3, packLen: 8 });
    expect(steps.map((packs) => packs.map((p) => p.segments.map((s) => s.line)))).toEqual([
      [[1, 2], [3]],
      [[4, 5], [6]],
      [[7]],
    ]);
  });

  it('refuses a senseless batch size', () => {
    for (const batchSize of [0, -1, 1.5, Number.NaN]) {
      expect(() => batchPacks(lengthsOf([1]), { batchSize, packLen: 8 })).toThrowError(
        expect.objectContaining({ code: 'USAGE' }),
      );
    }
  });
});
