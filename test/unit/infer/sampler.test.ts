// Draws: their distribution, that it is the whole row's however few candidates there are, and when the row is needed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import {
  argmax,
  candidatesOfRow,
  defaultSampling,
  type SamplingOptions,
  sampleCandidates,
  sampleToken,
} from '../../../src/infer/index.ts';
import { counted, distribution, rngOf, sampled } from './samplingHelpers.ts';

/** Probabilities 0.5, 0.25, 0.15, 0.1 of tokens 3, 0, 4, 1; token 2 never. */
const five = Float32Array.of(Math.log(0.25), Math.log(0.1), -1000, Math.log(0.5), Math.log(0.15));

/** A vocabulary of 300 with a long tail, in no order. */
const tailed = (() => {
  const rng = createRng(8);
  return Float32Array.from(
    rng.shuffle(Array.from({ length: 300 }, (_, i) => -1.1 * Math.log(i + 1) + 0.1 * rng.uniform())),
  );
})();

async function counts(row: Float32Array, o: SamplingOptions, k: number, draws: number): Promise<number[]> {
  const rng = createRng(o.seed);
  const c = candidatesOfRow(row, k, o.temperature);
  const drawn = new Array<number>(row.length).fill(0);
  for (let i = 0; i < draws; i++) drawn[(await sampleCandidates(c, o, rng)).id]!++;
  return drawn;
}

/** Pearson's statistic in standard deviations from its mean (Wilson-Hilferty); tokens expected under 5 times are one class. */
function deviation(drawn: readonly number[], p: readonly number[]): number {
  const draws = drawn.reduce((a, b) => a + b, 0);
  let [statistic, classes, rareDrawn, rareExpected] = [0, 0, 0, 0];
  drawn.forEach((n, id) => {
    const expected = p[id]! * draws;
    if (expected >= 5) {
      statistic += (n - expected) ** 2 / expected;
      classes++;
    } else {
      rareDrawn += n;
      rareExpected += expected;
    }
  });
  if (rareExpected > 0) {
    statistic += (rareDrawn - rareExpected) ** 2 / rareExpected;
    classes++;
  }
  const freedom = Math.max(1, classes - 1);
  const spread = 2 / (9 * freedom);
  return ((statistic / freedom) ** (1 / 3) - (1 - spread)) / Math.sqrt(spread);
}

describe('drawing', () => {
  it.each<[Partial<SamplingOptions>, number]>([
    [{}, 300],
    [{}, 8],
    [{ temperature: 0.6 }, 8],
    [{ temperature: 2 }, 8],
    [{ topK: 5 }, 8],
    [{ topK: 40, temperature: 1.5 }, 8],
    [{ topP: 0.3 }, 8],
    [{ topP: 0.85 }, 8],
    [{ minP: 0.02 }, 8],
    [{ topK: 100, topP: 0.9, minP: 0.01, temperature: 1.2 }, 8],
  ])('%j from the candidates of which there are %i follows the probabilities of the row', async (changes, k) => {
    const o = sampled({ ...changes, seed: 17 });
    const p = distribution(tailed, o);
    const drawn = await counts(tailed, o, k, 6000);
    expect(drawn.filter((_, id) => p[id] === 0).every((n) => n === 0)).toBe(true);
    expect(deviation(drawn, p)).toBeLessThan(3);
    // The test can tell: a warmer distribution does not pass for this one.
    const other = distribution(tailed, { ...o, temperature: o.temperature * 1.5 });
    expect(deviation(drawn, other)).toBeGreaterThan(3);
  });

  it('inverts the cumulative distribution in falling order, equal ones by rising id', () => {
    const at = (u: number, o = sampled(), row = five) => sampleToken(row, o, rngOf(u));
    expect([0, 0.499, 0.501, 0.749, 0.751, 0.899, 0.901, 0.999999].map((u) => at(u))).toEqual([3, 3, 0, 0, 4, 4, 1, 1]);
    const ties = Float32Array.of(0, 1, 1, 1, 0);
    expect([0.1, 0.6, 0.9].map((u) => at(u, sampled({ topP: 0.7 }), ties))).toEqual([1, 2, 3]);
    expect([0.1, 0.5, 0.9].map((u) => at(u, sampled({ minP: 1 }), ties))).toEqual([1, 2, 3]);
    expect([0.1, 0.4, 0.6, 0.999].map((u) => at(u, sampled({ topK: 2 }), ties))).toEqual([1, 1, 2, 2]);
  });

  it('reaches tokens of a billionth of a thousandth, and -0 is 0', () => {
    const row = Float32Array.of(0, Math.log(1e-12), -0);
    expect(sampleToken(row, sampled(), rngOf(1 - 2 ** -53))).toBe(1);
    expect(sampleToken(row, sampled(), rngOf(0.49))).toBe(0);
    expect(sampleToken(row, sampled(), rngOf(0.51))).toBe(2);
  });

  it('keeps the smallest set that reaches top_p, of what top_k left', () => {
    const last = (o: Partial<SamplingOptions>) => sampleToken(five, sampled(o), rngOf(0.999999));
    expect([0.01, 0.49, 0.7, 0.8, 0.95].map((topP) => last({ topP }))).toEqual([3, 3, 0, 4, 1]);
    // Of the two that are left, the first alone has two thirds.
    expect(last({ topK: 2, topP: 0.6 })).toBe(3);
    expect(last({ topK: 2, topP: 0.7 })).toBe(0);
    expect([0.19, 0.21, 0.29, 0.31, 0.49, 0.51, 1].map((minP) => last({ minP }))).toEqual([1, 4, 4, 0, 0, 3, 3]);
  });

  it('bears logits of any size', () => {
    const huge = Float32Array.of(-3e38, 3e38, 0);
    for (const u of [0, 0.5, 1 - 2 ** -52]) {
      expect(sampleToken(huge, sampled(), rngOf(u))).toBe(1);
      expect(sampleToken(five, sampled({ temperature: 1e-9 }), rngOf(u))).toBe(3);
      expect(sampleToken(Float32Array.of(-Infinity, -5, -Infinity), sampled(), rngOf(u))).toBe(1);
    }
  });

  it('repeats with the seed', () => {
    const drawn = (seed: number) => {
      const rng = createRng(seed);
      return Array.from({ length: 50 }, () => sampleToken(five, sampled(), rng));
    };
    expect(drawn(4)).toEqual(drawn(4));
    expect(drawn(4)).not.toEqual(drawn(5));
  });
});

describe('the number of candidates', () => {
  const settings = fc.record({
    temperature: fc.constantFrom(0, 0.3, 1, 2.5),
    topP: fc.constantFrom(1, 0.999999, 0.9, 0.5, 0.01),
    topK: fc.constantFrom(0, 1, 3, 40, 100, 5000),
    minP: fc.constantFrom(0, 0, 0.01, 0.3, 1),
    seed: fc.nat(),
  });
  // Some rows with many ties, some without.
  const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -9, max: 9, noNaN: true }));
  const rows = fc.array(value, { minLength: 1, maxLength: 200, size: 'max' }).map((v) => Float32Array.from(v));

  it('changes no token, also when the mass is a float32 sum', async () => {
    await fc.assert(
      fc.asyncProperty(rows, settings, fc.double({ min: -1e-4, max: 1e-4, noNaN: true }), async (row, s, error) => {
        const o = sampled(s);
        const mass = candidatesOfRow(row, 1, o.temperature).mass * (1 + error);
        const drawn: number[][] = [];
        for (const k of [1, 4, 64, row.length]) {
          const rng = createRng(o.seed);
          const { c } = counted(row, Math.min(k, row.length), o.temperature, mass);
          const ids: number[] = [];
          for (let i = 0; i < 10; i++) ids.push((await sampleCandidates(c, o, rng)).id);
          drawn.push([...ids, rng.uint32()]);
        }
        for (const d of drawn) expect(d).toEqual(drawn[0]);
      }),
      { numRuns: 150 },
    );
  });

  it('changes no token where two of them meet', async () => {
    await fc.assert(
      fc.asyncProperty(
        rows,
        settings,
        fc.nat(),
        fc.nat(4),
        fc.integer({ min: -8, max: 8 }),
        async (row, s, n, e, near) => {
          const o = sampled({ ...s, temperature: s.temperature || 0.3 });
          const mass = candidatesOfRow(row, 1, o.temperature).mass * (1 + (e - 2) * 5e-5);
          const p = distribution(row, o).filter((share) => share > 0);
          p.sort((a, b) => b - a);
          const border = p.slice(0, 1 + (n % Math.min(p.length, 9))).reduce((a, b) => a + b, 0);
          const u = Math.min(1 - 2 ** -53, border * (1 + near * 2e-5));
          const drawn: number[] = [];
          for (const k of [1, 2, 4, 9, row.length]) {
            const { c } = counted(row, Math.min(k, row.length), o.temperature, mass);
            drawn.push((await sampleCandidates(c, o, rngOf(u))).id);
          }
          expect(new Set(drawn).size).toBe(1);
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([
    // All three tokens are kept; the mass is too small, the draw lies just beyond the first.
    { changes: { minP: 0.01 }, error: -1e-4, u: (1 / 1.75) * (1 + 2e-5), id: 1 },
    // The mass is so much too large that top_p is never reached; the draw lies just before the end of the first.
    { changes: { topP: 0.99995 }, error: 1e-4, u: (1 / 1.75) * (1 - 2e-5), id: 0 },
  ])('changes no token where the mass is off: $changes', async ({ changes, error, u, id }) => {
    const row = Float32Array.of(0, Math.log(0.5), Math.log(0.25));
    for (const k of [1, 2, 3]) {
      const { c } = counted(row, k, 1, 1.75 * (1 + error));
      expect((await sampleCandidates(c, sampled(changes), rngOf(u))).id).toBe(id);
    }
  });

  it('changes neither the token of a whole row nor its logit', async () => {
    await fc.assert(
      fc.asyncProperty(rows, settings, async (row, s) => {
        const o = sampled(s);
        const few = candidatesOfRow(row, Math.min(4, row.length), o.temperature);
        const choice = await sampleCandidates(few, o, createRng(o.seed));
        expect(choice.id).toBe(sampleToken(row, o, createRng(o.seed)));
        expect(choice.logit).toBe(row[choice.id]);
        expect(distribution(row, { ...o, temperature: o.temperature || 1e-9 })[choice.id]).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the whole row', () => {
  const rowsFor = async (changes: Partial<SamplingOptions>, u: number) => {
    const o = sampled(changes);
    const { c, count } = counted(tailed, 8, o.temperature);
    await sampleCandidates(c, o, rngOf(u));
    return count.rows;
  };
  const held = (() => {
    const p = distribution(tailed, sampled()).sort((a, b) => b - a);
    return p.slice(0, 8).reduce((a, b) => a + b, 0);
  })();

  it('is not asked for when the draw falls on a candidate', async () => {
    expect(await rowsFor({}, held - 0.01)).toBe(0);
    expect(await rowsFor({ topK: 8 }, 0.999)).toBe(0);
    expect(await rowsFor({ topP: held - 0.01 }, 0.999)).toBe(0);
    expect(await rowsFor({ minP: 0.5 }, 0.999)).toBe(0);
    // The end of what top_p keeps lies in the tail; where it lies makes no difference to this draw.
    expect(await rowsFor({ topP: 0.9 }, 0.1)).toBe(0);
  });

  it('is not asked for when nothing else may come; what rounding left over is the first token’s', async () => {
    const row = new Float32Array(20).fill(-Infinity);
    row.set([1, 2], 7);
    for (const k of [4, 20]) {
      const { c, count } = counted(row, k, 1, (1 + Math.exp(-1)) * 1.0001);
      expect((await sampleCandidates(c, sampled(), rngOf(0.99))).id).toBe(7);
      expect((await sampleCandidates(c, sampled(), rngOf(1 - 2 ** -53))).id).toBe(8);
      expect(count.rows).toBe(0);
    }
  });

  it('is asked for once when it falls on the tail, or when top_k is not known', async () => {
    expect(await rowsFor({}, held + 0.01)).toBe(1);
    expect(await rowsFor({ topP: 0.95 }, 0.99)).toBe(1);
    expect(await rowsFor({ topK: 9 }, 0)).toBe(1);
  });
});

describe('greedy', () => {
  it('takes the largest, the first of equals, and no random number', async () => {
    const rng = createRng(1);
    const row = Float32Array.of(1, 5, 5, 2);
    for (const o of [defaultSampling, sampled({ topK: 1 })]) {
      expect(sampleToken(row, o, rng)).toBe(1);
      expect(sampleCandidates(candidatesOfRow(row, 1, 0), o, rng)).toEqual({ id: 1, logit: 5 });
    }
    expect(rng.uint32()).toBe(createRng(1).uint32());
    expect(argmax(Float32Array.of(-3, -1, -2))).toBe(1);
  });
});

describe('refuses', () => {
  const modes = [defaultSampling, sampled()];
  it.each(modes)('a row of which nothing may come', (o) => {
    const row = new Float32Array(9).fill(-Infinity);
    expect(() => sampleToken(row, o, createRng(0))).toThrow(/no token may come next/);
  });

  it.each([NaN, Infinity])('%d as a logit', (bad) => {
    const row = Float32Array.of(1, bad, 2);
    expect(() => sampleToken(row, sampled(), createRng(0))).toThrow(expect.objectContaining({ code: 'BAD_LOGITS' }));
    const c = { ids: [1, 2], logits: Float32Array.of(bad, 2), vocabSize: 3, mass: NaN, row: async () => row };
    for (const o of modes) {
      expect(() => sampleCandidates(c, o, createRng(0))).toThrow(expect.objectContaining({ code: 'BAD_LOGITS' }));
    }
  });

  it('a mass that is not a number', () => {
    const c = { ...candidatesOfRow(five, 2, 1), mass: NaN };
    expect(() => sampleCandidates(c, sampled(), createRng(0))).toThrow(expect.objectContaining({ code: 'BAD_LOGITS' }));
  });
});
