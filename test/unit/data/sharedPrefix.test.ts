import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Example, familyOf, findFamilies, packExamples } from '../../../src/data/index.ts';

/** Ids as given; a target at each position from `firstTarget` on. */
function example(ids: number[], firstTarget = ids.length, line = 1): Example {
  const targets = Int32Array.from(ids, (_, i) => (i + 1 >= firstTarget && i + 1 < ids.length ? ids[i + 1]! : -1));
  return { ids: Int32Array.from(ids), targets, promptLength: 1, truncated: false, line };
}

const savedBy = (examples: Example[], families: number[][]) =>
  families.reduce((n, f) => n + (f.length - 1) * familyOf(f.map((i) => examples[i]!)).prefix, 0);

/** Short sequences over two tokens share a lot, at all depths. */
const examplesArbitrary = fc
  .array(fc.tuple(fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 7 }), fc.integer({ min: 1, max: 8 })), {
    minLength: 1,
    maxLength: 7,
  })
  .map((list) => list.map(([ids, first], i) => example(ids, first, i + 1)));

/** All ways to put a list into groups. */
function* partitions(list: number[]): Generator<number[][]> {
  const [first, ...rest] = list;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const others of partitions(rest)) {
    yield [[first], ...others];
    for (let i = 0; i < others.length; i++) yield others.map((g, j) => (i === j ? [first, ...g] : g));
  }
}

describe('familyOf', () => {
  it('shares what all members start with, and leaves each a token of its own', () => {
    const [a, b] = [example([1, 2, 3, 4]), example([1, 2, 3, 5, 6])];
    expect(familyOf([a, b]).prefix).toBe(3);
    expect(familyOf([a, b, example([1, 2])]).prefix).toBe(1);
    expect(familyOf([a, a]).prefix).toBe(3);
    expect(familyOf([a]).prefix).toBe(0);
    expect(familyOf([a, example([9])]).prefix).toBe(0);
  });

  it('shares no token of which the targets differ', () => {
    // Loss on the prompt: the last common token is to predict 4 in one, 5 in the other.
    expect(familyOf([example([1, 2, 3, 4], 1), example([1, 2, 3, 5, 6], 1)]).prefix).toBe(2);
    expect(familyOf([example([1, 2, 3, 4], 3), example([1, 2, 3, 4, 5], 2)]).prefix).toBe(1);
  });
});

describe('findFamilies', () => {
  it('finds two templates in a mixed list', () => {
    const [with_, without] = [
      [7, 7, 1, 1, 1],
      [7, 7, 2, 2],
    ];
    const list = [without, with_, with_, without, without].map((start, i) => example([...start, 10 + i, 99]));
    expect(findFamilies(list).sort()).toEqual([
      [0, 3, 4],
      [1, 2],
    ]);
  });

  it('puts every example into one family, and saves what the best grouping saves, or nearly', () => {
    let [found, possible] = [0, 0];
    fc.assert(
      fc.property(examplesArbitrary, (examples) => {
        const families = findFamilies(examples);
        expect(families.flat().sort((a, b) => a - b)).toEqual(examples.map((_, i) => i));
        const saved = savedBy(examples, families);
        const best = Math.max(...[...partitions(examples.map((_, i) => i))].map((p) => savedBy(examples, p)));
        expect(saved).toBeLessThanOrEqual(best);
        found += saved;
        possible += best;
      }),
      { numRuns: 60, seed: 1 },
    );
    expect(found / possible).toBeGreaterThan(0.97);
  });

  it('takes thousands of rows, and rows that are all the same', () => {
    const same = Array.from({ length: 3000 }, () => example([1, 2, 3, 4]));
    expect(findFamilies(same)).toHaveLength(1);
    const nested = Array.from({ length: 500 }, (_, i) => example(new Array(i + 1).fill(1)));
    expect(findFamilies(nested).flat()).toHaveLength(500);
    expect(findFamilies([])).toEqual([]);
  });
});

describe('packExamples with shared prefixes', () => {
  it('counts a prefix once, so that more fits into a pack', () => {
    const list = [1, 2, 3, 4].map((i) => example([5, 5, 5, 5, i, i]));
    const [pack, ...others] = packExamples(list, { packLen: 12 });
    expect(others).toEqual([]);
    expect(pack).toMatchObject({ rows: 12, tokens: 24, families: [{ prefix: 4 }] });
    expect(packExamples(list, { packLen: 12, sharedPrefix: false })).toMatchObject([
      { rows: 12, tokens: 12 },
      { rows: 12, tokens: 12 },
    ]);
  });

  it('never computes more than the pack length, and lays every example out whole', () => {
    fc.assert(
      fc.property(examplesArbitrary, fc.integer({ min: 7, max: 30 }), (examples, packLen) => {
        const packs = packExamples(examples, { packLen });
        const lines = packs.flatMap((p) => p.segments.map((s) => s.line));
        expect(lines.sort((a, b) => a - b)).toEqual(examples.map((e) => e.line));
        for (const pack of packs) {
          expect(pack.families.flatMap((f) => f.members)).toHaveLength(pack.segments.length);
          let rows = 0;
          for (const { prefix, members } of pack.families) {
            rows += prefix;
            for (const m of members) {
              expect(m.ids.length).toBeGreaterThan(prefix);
              expect(m.ids.slice(0, prefix)).toEqual(members[0]!.ids.slice(0, prefix));
              expect(m.targets.slice(0, prefix)).toEqual(members[0]!.targets.slice(0, prefix));
              rows += m.ids.length - prefix;
            }
          }
          expect(pack.rows).toBe(rows);
          expect(rows).toBeLessThanOrEqual(packLen);
        }
      }),
    );
  });
});
