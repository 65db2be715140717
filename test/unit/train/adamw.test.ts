import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clipGradients, createAdamW } from '../../../src/train/index.ts';

// Three updates of one parameter with these gradients, computed by hand from the paper's formulas in float64.
const cases = [
  { gradients: [0.5, -1, 0.25], start: 1, lr: 0.1, options: {}, expected: [0.900000002, 0.93661035424, 0.95027942034] },
  {
    gradients: [0.5, -1, 0.25],
    start: 2,
    lr: 0.1,
    options: { weightDecay: 0.5 },
    expected: [1.800000002, 1.74661035414, 1.6729489025],
  },
  {
    gradients: [1e-4, 3, -2],
    start: -1,
    lr: 0.01,
    options: { weightDecay: 0.1, beta1: 0.8, beta2: 0.95, eps: 1e-3 },
    expected: [-0.99990909091, -1.0066636903, -1.00643833702],
  },
];

describe('AdamW', () => {
  it.each(cases)('gives the values computed by hand, case %#', async ({ gradients, start, lr, options, expected }) => {
    const optimiser = createAdamW(2, options);
    // A neighbour with a gradient of its own must not disturb.
    const params = Float32Array.of(start, 7);
    for (const [i, g] of gradients.entries()) {
      await optimiser.step(params, Float32Array.of(g, -g * 5), lr);
      expect(params[0]).toBeCloseTo(expected[i]!, 6);
      expect(optimiser.steps).toBe(i + 1);
    }
  });

  it('moves by the learning rate at most, at first, whatever the size of the gradient', async () => {
    for (const g of [1e-3, 1, 1e6, -1e6]) {
      const params = Float32Array.of(0);
      await createAdamW(1).step(params, Float32Array.of(g), 0.01);
      expect(params[0]).toBeCloseTo(-Math.sign(g) * 0.01, 5);
    }
  });

  it('does not move without a gradient, and not at all at rate 0', async () => {
    const params = Float32Array.of(1, 2);
    await createAdamW(2, { weightDecay: 0.1 }).step(params, Float32Array.of(1, -1), 0);
    await createAdamW(2).step(params, new Float32Array(2), 0.1);
    expect(params).toEqual(Float32Array.of(1, 2));
  });

  it('treats every element of a vector that is longer than its slices', async () => {
    const size = 250_001;
    const params = new Float32Array(size);
    await createAdamW(size).step(params, new Float32Array(size).fill(2), 0.5);
    expect(new Set(params)).toEqual(new Set([-0.5]));
  });
});

describe('clipping', () => {
  it('scales down to the norm, returns the norm before', () => {
    const g = Float32Array.of(3, 0, -4);
    expect(clipGradients(g, 1)).toBe(5);
    expect([...g]).toEqual([0.6, 0, -0.8].map(Math.fround));
  });

  it('leaves short gradients alone, and all of them when it is off', () => {
    for (const most of [5, 6, 0]) {
      const g = Float32Array.of(3, 0, -4);
      expect(clipGradients(g, most)).toBe(5);
      expect([...g]).toEqual([3, 0, -4]);
    }
  });

  it.each([NaN, Infinity, -Infinity])('tells of %s', (value) => {
    expect(Number.isFinite(clipGradients(Float32Array.of(1, value), 1))).toBe(false);
  });

  it('keeps the direction and never exceeds the norm', () => {
    const vector = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(vector, fc.double({ min: 0.01, max: 100, noNaN: true }), (values, most) => {
        const before = Float32Array.from(values);
        const g = before.slice();
        const norm = clipGradients(g, most);
        expect(Math.hypot(...g)).toBeLessThanOrEqual(most * (1 + 1e-5) + (norm <= most ? norm : 0));
        const factor = norm > most ? most / norm : 1;
        g.forEach((x, i) => {
          expect(x).toBeCloseTo(before[i]! * factor, 3);
        });
      }),
      { numRuns: 50 },
    );
  });
});
