import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BitPattern } from '../../../../src/selfinstruct/dedupe/bitPattern.ts';
import { leastLcs, rougeF } from '../../../../src/selfinstruct/dedupe/rougeScore.ts';
import { rougeTokens } from '../../../../src/selfinstruct/dedupe/tokens.ts';
import { naiveLcs } from './naive.ts';
import { rouge } from './rougeFigures.ts';

/** Texts around the sizes of one, two and more words, over few tokens and over many. */
const text = (vocabulary: number, most: number) =>
  fc.array(fc.integer({ min: -1, max: vocabulary }), { minLength: 1, maxLength: most, size: 'max' });
const texts = fc
  .constantFrom(1, 3, 20, 100)
  .chain((v) => fc.tuple(text(v, 140), fc.array(text(v, 70), { minLength: 1, maxLength: 7 })));

const bound = 101;
const known = (ids: number[]) => Int32Array.from(ids, (id) => Math.max(0, id));

describe('bit-parallel LCS', () => {
  it('equals the table, one pattern after the other in the same object', () => {
    const pattern = new BitPattern();
    fc.assert(
      fc.property(texts, ([ids, others]) => {
        pattern.set(ids, bound);
        for (const other of others.map(known)) {
          expect(pattern.lcs(other, 0, other.length)).toBe(naiveLcs(ids, other));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('equals it for many texts of one length at once', () => {
    const pattern = new BitPattern();
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 12 }), ([ids, others], length) => {
        const all = known(others.flat());
        const count = Math.floor(all.length / length);
        const out = new Int32Array(count);
        pattern.set(ids, bound);
        pattern.lcsEach(all, length, count, out);
        const wanted = Array.from(out, (_, k) => naiveLcs(ids, all.subarray(k * length, (k + 1) * length)));
        expect([...out]).toEqual(wanted);
      }),
      { numRuns: 100 },
    );
  });

  it.each([31, 32, 33, 62, 63, 93, 94])('carries through all %i places', (length) => {
    const pattern = new BitPattern();
    const same = new Int32Array(length).fill(3);
    pattern.set(same, bound);
    for (const n of [1, 31, 32, 33, 64, 120]) {
      expect(pattern.lcs(new Int32Array(n).fill(3), 0, n)).toBe(Math.min(n, length));
    }
  });
});

describe('ROUGE-L F', () => {
  const score = (a: string, b: string) => {
    const vocabulary = new Map<string, number>();
    const ids = [a, b].map((t) =>
      Int32Array.from(rougeTokens(t), (w) => vocabulary.set(w, vocabulary.get(w) ?? vocabulary.size).get(w)!),
    );
    const pattern = new BitPattern();
    pattern.set(ids[0]!, vocabulary.size);
    return rougeF(pattern.lcs(ids[1]!, 0, ids[1]!.length), ids[0]!.length, ids[1]!.length);
  };

  it('is what rouge_score says: 300 pairs, to the ten digits that are given', () => {
    for (const [a, b, f] of rouge.golden) {
      expect(Math.abs(score(a, b) - f), `${a} | ${b}`).toBeLessThan(1e-10);
      expect(score(b, a)).toBe(score(a, b));
    }
  });

  it('is bit by bit what rouge_score says, up to 200 tokens', () => {
    expect(rouge.pairs.map(([a, b]) => score(a, b))).toEqual(rouge.pairs.map(([, , f]) => f));
  });

  it('falls on the same side of the threshold where the exact quotient is 0.7', () => {
    const above = rouge.atThreshold.filter(([, , , f]) => f > 0.7).length;
    expect([above > 50, rouge.atThreshold.length - above > 50]).toEqual([true, true]);
    for (const [lcs, m, n, f] of rouge.atThreshold) {
      expect(rougeF(lcs, m, n)).toBe(f);
      expect(leastLcs(m, n, 0.7) <= lcs).toBe(f > 0.7);
      expect(leastLcs(m, n, 0.7, true) <= lcs).toBe(f >= 0.7);
    }
  });

  it('leastLcs is the first length that gets over', () => {
    const size = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(size, size, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), (m, n, bar, reach) => {
        const passes = (lcs: number) => rougeF(lcs, m, n) > bar || (reach && rougeF(lcs, m, n) === bar);
        let wanted = 1;
        while (wanted <= Math.min(m, n) && !passes(wanted)) wanted++;
        const least = leastLcs(m, n, bar, reach);
        if (wanted <= Math.min(m, n)) expect(least).toBe(wanted);
        else expect(least).toBeGreaterThan(Math.min(m, n));
      }),
    );
  });
});
