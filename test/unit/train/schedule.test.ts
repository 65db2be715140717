import fc from 'fast-check';
import { expect, it } from 'vitest';
import { learningRateAt, type Schedule, schedules } from '../../../src/train/index.ts';

const rates = (schedule: Schedule, warmupSteps: number, totalSteps: number) =>
  Array.from({ length: totalSteps }, (_, step) => learningRateAt(step, { peak: 8, warmupSteps, totalSteps, schedule }));

it('warms up in equal steps from 0 and then decays in equal steps', () => {
  expect(rates('linear', 4, 8)).toEqual([0, 2, 4, 6, 8, 6, 4, 2]);
});

it('decays along a cosine', () => {
  const half = Math.SQRT1_2;
  const expected = [0, 4, 8, 4 * (1 + half), 4, 4 * (1 - half)];
  rates('cosine', 2, 6).forEach((rate, i) => {
    expect(rate).toBeCloseTo(expected[i]!, 9);
  });
});

it('stays at the peak', () => {
  expect(rates('constant', 2, 5)).toEqual([0, 4, 8, 8, 8]);
});

it('starts at the peak without a warm-up', () => {
  expect(schedules.map((s) => rates(s, 0, 10)[0])).toEqual([8, 8, 8]);
});

it('is between 0 and the peak, finite, never rising after the warm-up, even when the warm-up is the whole run', () => {
  const numbers = fc.tuple(fc.constantFrom(...schedules), fc.nat(30), fc.integer({ min: 1, max: 30 }));
  fc.assert(
    fc.property(numbers, ([schedule, warmup, total]) => {
      const all = rates(schedule, warmup, total);
      all.forEach((rate, i) => {
        expect(rate).toBeGreaterThanOrEqual(0);
        expect(rate).toBeLessThanOrEqual(8);
        if (i > 0 && i < warmup) expect(rate).toBeGreaterThan(all[i - 1]!);
        if (i > warmup) expect(rate).toBeLessThanOrEqual(all[i - 1]!);
      });
    }),
    { numRuns: 100 },
  );
});
