import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createRougeDedupe,
  RougeIndex,
  type RougeOptions,
  type Verdict,
} from '../../../../src/selfinstruct/dedupe/index.ts';
import { naiveRun, naiveScore } from './naive.ts';
import { rouge } from './rougeFigures.ts';

const texts = rouge.run.map(([text]) => text);

async function oneByOne(options: RougeOptions, all: readonly string[]): Promise<Verdict[]> {
  const dedupe = createRougeDedupe(options);
  const verdicts: Verdict[] = [];
  for (const text of all) {
    const verdict = await dedupe.check(text);
    if (!verdict.duplicate) dedupe.add(text);
    verdicts.push(verdict);
  }
  return verdicts;
}

describe('dedupe by ROUGE-L', () => {
  it('does what the published loop does with rouge_score', async () => {
    const verdicts = await oneByOne({}, texts);
    expect(verdicts.map((v) => v.duplicate)).toEqual(rouge.run.map(([, duplicate]) => duplicate));
    expect(verdicts.filter((v) => v.duplicate).length).toBeGreaterThan(20);
    for (const [k, { duplicate, nearest, mean }] of verdicts.entries()) {
      expect(nearest.map((n) => n.score)).toEqual(rouge.run[k]![2]);
      if (duplicate) expect(mean).toBeUndefined();
      else expect(Math.abs(mean! - rouge.run[k]![3])).toBeLessThan(1e-13);
    }
  });

  it('finds the same nearest through the index, and the same duplicates with no details', async () => {
    const exact = await oneByOne({}, texts);
    const nearest = await oneByOne({ details: 'nearest' }, texts);
    const decision = await oneByOne({ details: 'decision' }, texts);
    expect(nearest).toEqual(exact.map(({ duplicate, nearest }) => ({ duplicate, nearest })));
    expect(decision).toEqual(exact.map(({ duplicate, nearest }) => ({ duplicate, nearest: duplicate ? nearest : [] })));
  });

  it.each(['exact', 'nearest', 'decision'] as const)('admits a reply at once as one by one: %s', async (details) => {
    const dedupe = createRougeDedupe({ details });
    const verdicts: Verdict[] = [];
    for (let i = 0; i < texts.length; i += 20) verdicts.push(...(await dedupe.admit(texts.slice(i, i + 20))));
    expect(verdicts).toEqual(await oneByOne({ details }, texts));
    expect(dedupe.size).toBe(verdicts.filter((v) => !v.duplicate).length);
  });

  it('equals the slow way on any texts, thresholds and numbers of neighbours', async () => {
    const words = fc
      .integer({ min: 0, max: 5 })
      .chain((most) =>
        fc.array(fc.array(fc.integer({ min: 0, max: most }), { maxLength: 8 }), { minLength: 1, maxLength: 25 }),
      );
    const threshold = fc.constantFrom(0, 0.3, 0.5, 0.7, 0.75, 0.999, 1);
    await fc.assert(
      fc.asyncProperty(words, threshold, fc.integer({ min: 1, max: 4 }), async (lists, threshold, most) => {
        const all = lists.map((list) => list.map((n) => `w${n}`).join(' '));
        const wanted = naiveRun(all, threshold, most);
        for (const details of ['exact', 'nearest'] as const) {
          const verdicts = await oneByOne({ threshold, most, details }, all);
          for (const [k, { duplicate, nearest, mean }] of verdicts.entries()) {
            expect({ duplicate, nearest }).toEqual({ duplicate: wanted[k]!.duplicate, nearest: wanted[k]!.nearest });
            if (mean !== undefined) expect(Math.abs(mean - wanted[k]!.mean)).toBeLessThan(1e-12);
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('starts from texts that are in already', async () => {
    const dedupe = createRougeDedupe({}, ['Write a poem about the sea.', 'Name three colours.']);
    expect(dedupe.size).toBe(2);
    expect(await dedupe.check('write a poem about the SEA')).toEqual({
      duplicate: true,
      nearest: [{ text: 'Write a poem about the sea.', score: 1 }],
    });
    expect(dedupe.size).toBe(2);
  });

  it('gives the first of equally near texts, and none that share nothing', async () => {
    const { nearest } = await createRougeDedupe({ most: 2 }, ['x y', 'a b c', 'd e f', 'c d']).check('a c e');
    expect(nearest).toEqual([
      { text: 'a b c', score: naiveScore(['a', 'c', 'e'], ['a', 'b', 'c']) },
      { text: 'c d', score: naiveScore(['a', 'c', 'e'], ['c', 'd']) },
    ]);
  });

  it('has no tokens for Chinese unless it is told to', async () => {
    const text = '写一首关于大海的诗';
    expect((await createRougeDedupe({}, [text]).check(text)).duplicate).toBe(false);
    const unicode = createRougeDedupe({ tokenise: 'unicode' }, [text]);
    expect((await unicode.check(`${text}。`)).duplicate).toBe(true);
    expect((await unicode.check('列出三种颜色')).duplicate).toBe(false);
  });

  it('says no mean but 0 and no neighbours while it is empty', async () => {
    const dedupe = createRougeDedupe();
    expect(await dedupe.check('a b')).toEqual({ duplicate: false, nearest: [], mean: 0 });
    dedupe.add('');
    expect(await dedupe.check('')).toEqual({ duplicate: false, nearest: [], mean: 0 });
    expect(dedupe.size).toBe(1);
  });

  it.each<[RougeOptions, string]>([
    [{ threshold: 1.2 }, 'threshold is 1.2'],
    [{ threshold: Number.NaN }, 'threshold is NaN'],
    [{ tokenise: 'words' as 'rouge' }, 'tokenise is "words"'],
    [{ details: 'all' as 'exact' }, 'details is "all"'],
    [{ most: 0 }, 'most is 0'],
  ])('refuses %j', (options, message) => {
    expect(() => createRougeDedupe(options)).toThrow(expect.objectContaining({ code: 'USAGE', message }));
  });
});

it('the index looks at few texts: a long list of a frequent word is not read', () => {
  const index = new RougeIndex();
  for (let i = 0; i < 2000; i++) index.add(['write', 'a', 'text', 'about', `topic${i}`, `and${i}`]);
  let looked = 0;
  const { pattern } = index;
  const lcs = pattern.lcs.bind(pattern);
  pattern.lcs = (...args) => {
    looked++;
    return lcs(...args);
  };
  const found = index.nearest(index.look(['write', 'a', 'text', 'about', 'topic7', 'and7', 'more']), 1, 0.7);
  expect(found.ids).toEqual([7]);
  expect(looked).toBe(1);
});
