import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import {
  argmax,
  checkSampling,
  describeSampling,
  type SamplingOptions,
  sampleToken,
} from '../../../src/infer/index.ts';

const options = (changes: Partial<SamplingOptions> = {}): SamplingOptions => ({
  temperature: 1,
  topP: 1,
  topK: 0,
  ...changes,
});

/** Probabilities 0.5, 0.25, 0.15, 0.1 of tokens 3, 0, 4, 1; token 2 never. */
const logits = Float32Array.of(Math.log(0.25), Math.log(0.1), -1000, Math.log(0.5), Math.log(0.15));

/** Share of each token in many draws. */
function shares(o: SamplingOptions, from = logits, draws = 20_000) {
  const rng = createRng(3);
  const counts = new Array<number>(from.length).fill(0);
  for (let i = 0; i < draws; i++) counts[sampleToken(from, o, rng)]!++;
  return counts.map((n) => n / draws);
}

const expectShares = (actual: number[], expected: number[]) =>
  actual.forEach((share, i) => {
    if (expected[i] === 0) expect(share).toBe(0);
    else expect(Math.abs(share - expected[i]!)).toBeLessThan(0.015);
  });

describe('drawing', () => {
  it('follows the probabilities', () => {
    expectShares(shares(options()), [0.25, 0.1, 0, 0.5, 0.15]);
  });

  it('flattens and sharpens them with the temperature', () => {
    const power = (t: number) => {
      const p = [0.25, 0.1, 0, 0.5, 0.15].map((x) => x ** (1 / t));
      return p.map((x) => x / p.reduce((a, b) => a + b, 0));
    };
    expectShares(shares(options({ temperature: 0.5 })), power(0.5));
    expectShares(shares(options({ temperature: 3 })), power(3));
  });

  it('keeps the k most probable', () => {
    expectShares(shares(options({ topK: 1 })), [0, 0, 0, 1, 0]);
    expectShares(shares(options({ topK: 2 })), [1 / 3, 0, 0, 2 / 3, 0]);
    expectShares(shares(options({ topK: 99 })), [0.25, 0.1, 0, 0.5, 0.15]);
  });

  it('keeps k of those that are equally probable', () => {
    const drawn = shares(options({ topK: 2 }), Float32Array.of(1, 2, 2, 2, 0));
    expect(drawn.filter((s) => s > 0)).toHaveLength(2);
    expect(drawn[0]! + drawn[4]!).toBe(0);
  });

  it('keeps the smallest set that reaches top_p', () => {
    expectShares(shares(options({ topP: 0.01 })), [0, 0, 0, 1, 0]);
    expectShares(shares(options({ topP: 0.49 })), [0, 0, 0, 1, 0]);
    expectShares(shares(options({ topP: 0.7 })), [1 / 3, 0, 0, 2 / 3, 0]);
    expectShares(shares(options({ topP: 0.8 })), [0.25 / 0.9, 0, 0, 0.5 / 0.9, 0.15 / 0.9]);
  });

  it('applies top_p to what top_k left', () => {
    // Of the two that are left, the first alone has two thirds.
    expectShares(shares(options({ topK: 2, topP: 0.6 })), [0, 0, 0, 1, 0]);
  });

  it('repeats with the seed', () => {
    const drawn = (seed: number) => {
      const rng = createRng(seed);
      return Array.from({ length: 50 }, () => sampleToken(logits, options(), rng));
    };
    expect(drawn(4)).toEqual(drawn(4));
    expect(drawn(4)).not.toEqual(drawn(5));
  });

  it('bears logits of any size', () => {
    const huge = Float32Array.of(-3e38, 3e38, 0);
    expect(shares(options(), huge, 50)).toEqual([0, 1, 0]);
    expect(shares(options({ temperature: 1e-9 }), logits, 50)).toEqual([0, 0, 0, 1, 0]);
  });

  it('never draws outside the k most probable', () => {
    const any = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(any, fc.integer({ min: 1, max: 12 }), fc.nat(), (values, topK, seed) => {
        const z = Float32Array.from(values);
        const id = sampleToken(z, options({ topK }), createRng(seed));
        expect(z.filter((x) => x > z[id]!).length).toBeLessThan(topK);
      }),
    );
  });
});

describe('greedy', () => {
  it('takes the largest, the first of equals, and no random number', () => {
    const rng = createRng(1);
    expect(sampleToken(Float32Array.of(1, 5, 5, 2), options({ temperature: 0 }), rng)).toBe(1);
    expect(rng.uint32()).toBe(createRng(1).uint32());
    expect(argmax(Float32Array.of(-3, -1, -2))).toBe(1);
  });
});

describe('settings', () => {
  it.each([
    [{ temperature: -0.1 }, /temperature is -0.1/],
    [{ temperature: NaN }, /temperature is NaN/],
    [{ temperature: Infinity }, /temperature is Infinity/],
    [{ topP: 0 }, /top_p is 0/],
    [{ topP: 1.01 }, /top_p is 1.01/],
    [{ topP: NaN }, /top_p is NaN/],
    [{ topK: -1 }, /top_k is -1/],
    [{ topK: 2.5 }, /top_k is 2.5/],
    [{ topK: NaN }, /top_k is NaN/],
    [{ temperature: 0, topP: 0.9 }, /no effect at temperature 0/],
    [{ temperature: 0, topK: 40 }, /no effect at temperature 0/],
  ])('%j are refused', (changes, message) => {
    let error: unknown;
    try {
      checkSampling(options(changes));
    } catch (e) {
      error = e;
    }
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 2, message: expect.stringMatching(message) });
  });

  it.each([
    [{ temperature: 0 }, 'greedy'],
    [{ temperature: 0.7 }, 'sampling, temperature 0.7'],
    [{ topK: 40, topP: 0.9 }, 'sampling, temperature 1, top_k 40, top_p 0.9'],
  ])('%j are told in words', (changes, words) => {
    expect(describeSampling(checkSampling(options(changes)))).toBe(words);
  });
});
