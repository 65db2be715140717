import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMinHashDedupe, unicodeTokens } from '../../../../src/selfinstruct/dedupe/index.ts';
import { chooseBands, jaccard, shingles } from '../../../../src/selfinstruct/dedupe/minHash.ts';
import { rouge } from './rougeFigures.ts';

const texts = rouge.run.map(([text]) => text);

function slowShingles(text: string, width: number): Set<string> {
  const tokens = unicodeTokens(text);
  const runs = tokens.map((_, i) => tokens.slice(i, i + width)).filter((run) => run.length === width);
  return new Set((runs.length > 0 ? runs : tokens.length > 0 ? [tokens] : []).map((run) => run.join(' ')));
}

function slowJaccard(a: Set<string>, b: Set<string>): number {
  const common = [...a].filter((s) => b.has(s)).length;
  return common === 0 ? 0 : common / (a.size + b.size - common);
}

describe('dedupe by MinHash', () => {
  it('the Jaccard index of hashed shingles is that of the shingles', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'ab', 'ca'), { maxLength: 9 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(text, text, fc.integer({ min: 1, max: 3 }), (a, b, width) => {
        const [left, right] = [a, b].map((t) => shingles(unicodeTokens(t), width));
        expect(jaccard(left!, right!)).toBe(slowJaccard(slowShingles(a, width), slowShingles(b, width)));
      }),
    );
  });

  it('chooses bands that meet the recall, and the longest such', () => {
    for (const threshold of [0.3, 0.5, 0.7, 0.9]) {
      const { bands, rows } = chooseBands(128, threshold, 0.99);
      const chance = (r: number) => 1 - (1 - threshold ** r) ** Math.floor(128 / r);
      expect(bands).toBe(Math.floor(128 / rows));
      expect(chance(rows)).toBeGreaterThanOrEqual(0.99);
      expect(chance(rows + 1)).toBeLessThan(0.99);
    }
  });

  it.each([1, 2])('finds what comparing all pairs finds, shingles of %i', async (shingle) => {
    const dedupe = createMinHashDedupe({ shingle, threshold: 0.6 });
    const verdicts = await dedupe.admit(texts);
    const held: Set<string>[] = [];
    let wanted = 0;
    let found = 0;
    for (const [k, text] of texts.entries()) {
      const set = slowShingles(text, shingle);
      const best = Math.max(0, ...held.map((other) => slowJaccard(set, other)));
      const { duplicate, nearest } = verdicts[k]!;
      for (const near of nearest) expect(near.score).toBe(slowJaccard(set, slowShingles(near.text, shingle)));
      if (duplicate) expect(nearest[0]!.score).toBe(best);
      wanted += Number(best > 0.6);
      found += Number(duplicate);
      if (!duplicate) held.push(set);
    }
    expect(wanted).toBeGreaterThan(10);
    expect(found).toBe(wanted);
    expect(dedupe.size).toBe(held.length);
  });

  it('repeats with its seed', async () => {
    const run = (seed: number) => createMinHashDedupe({ seed, threshold: 0.3, recall: 0.5 }).admit(texts);
    expect(await run(5)).toEqual(await run(5));
    expect(await run(6)).not.toEqual(await run(5));
  });

  it('meets every text of a band, not only the last', async () => {
    const dedupe = createMinHashDedupe({ most: 3 }, ['a b c d', 'd c b a', 'a a b c d']);
    expect((await dedupe.check('c a b d')).nearest.map((n) => n.text)).toEqual(['a b c d', 'd c b a', 'a a b c d']);
  });

  it('starts from texts, checks without adding, and knows Chinese', async () => {
    const dedupe = createMinHashDedupe({}, ['写一首关于大海的诗', '']);
    expect((await dedupe.check('写一首关于大海的诗。')).duplicate).toBe(true);
    expect(await dedupe.check('列出三种颜色')).toEqual({ duplicate: false, nearest: [] });
    expect(await dedupe.check('')).toEqual({ duplicate: false, nearest: [] });
    expect(dedupe.size).toBe(2);
  });

  it.each([{ recall: 1 }, { threshold: -1 }, { shingle: 0 }, { hashes: 2.5 }])('refuses %j', (options) => {
    expect(() => createMinHashDedupe(options)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
