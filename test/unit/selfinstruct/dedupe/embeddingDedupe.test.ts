import { describe, expect, it } from 'vitest';
import { createEmbeddingDedupe } from '../../../../src/selfinstruct/dedupe/index.ts';

/** A plane of meanings: a text is its angle in degrees. Notes what it is asked. */
function angles() {
  const asked: string[][] = [];
  const embed = async (texts: string[]) => {
    asked.push(texts);
    return texts.map((t) =>
      Float32Array.of(3 * Math.cos((Number(t) * Math.PI) / 180), 3 * Math.sin((Number(t) * Math.PI) / 180)),
    );
  };
  return { asked, embed };
}
const cos = (degrees: number) => expect.closeTo(Math.cos((degrees * Math.PI) / 180), 6);

describe('dedupe by embeddings', () => {
  it('compares cosines with everything, nearest first', async () => {
    const { embed } = angles();
    const dedupe = createEmbeddingDedupe({ embed, threshold: 0.9, most: 2 }, ['0', '80', '180']);
    expect(await dedupe.check('50')).toEqual({
      duplicate: false,
      nearest: [
        { text: '80', score: cos(30) },
        { text: '0', score: cos(50) },
      ],
      mean: expect.closeTo((Math.cos(Math.PI / 6) + Math.cos((50 * Math.PI) / 180)) / 3, 6),
    });
    const near = await dedupe.check('10');
    expect(near).toEqual({
      duplicate: true,
      nearest: [
        { text: '0', score: cos(10) },
        { text: '80', score: cos(70) },
      ],
    });
    expect(dedupe.size).toBe(3);
  });

  it('embeds each text once, in batches, and candidates of one reply see those before them', async () => {
    const { asked, embed } = angles();
    const dedupe = createEmbeddingDedupe({ embed, batch: 2 }, ['0', '90', '180']);
    const verdicts = await dedupe.admit(['45', '46', '270']);
    expect(verdicts.map((v) => v.duplicate)).toEqual([false, true, false]);
    await dedupe.check('200');
    dedupe.add('200');
    await dedupe.check('300');
    expect(asked).toEqual([['0', '90'], ['180', '45'], ['46', '270'], ['200'], ['300']]);
    expect(dedupe.size).toBe(6);
  });

  it('takes calls in the order in which they were made', async () => {
    const { embed } = angles();
    const dedupe = createEmbeddingDedupe({ embed });
    const results = [dedupe.check('5'), dedupe.admit(['6']), dedupe.check('7')];
    dedupe.add('100');
    expect(dedupe.size).toBe(1);
    const last = dedupe.check('101');
    const [first, , third] = await Promise.all(results);
    expect(first).toMatchObject({ duplicate: false, nearest: [] });
    expect(third).toMatchObject({ duplicate: true, nearest: [{ text: '6' }] });
    expect(await last).toMatchObject({ duplicate: true, nearest: [{ text: '100' }] });
    expect(dedupe.size).toBe(2);
  });

  it('loses nothing when the embeddings fail once', async () => {
    const { embed } = angles();
    let fail = true;
    const flaky = async (texts: string[]) => {
      if (fail) throw new Error('no answer');
      return embed(texts);
    };
    const dedupe = createEmbeddingDedupe({ embed: flaky }, ['0']);
    await expect(dedupe.check('1')).rejects.toThrow('no answer');
    await expect(dedupe.admit(['1'])).rejects.toThrow('no answer');
    fail = false;
    expect(await dedupe.admit(['1', '50'])).toMatchObject([{ duplicate: true }, { duplicate: false }]);
    expect(dedupe.size).toBe(2);
  });

  it.each<[string, Float32Array[]]>([
    ['there came 1 vectors for 2 texts', [Float32Array.of(1, 2)]],
    ['a vector of 1 numbers where 2 finite ones were expected', [Float32Array.of(1, 2), Float32Array.of(1)]],
    ['a vector of 2 numbers where 2 finite ones', [Float32Array.of(1, 2), Float32Array.of(1, Number.NaN)]],
  ])('refuses an answer: %s', async (message, answer) => {
    const dedupe = createEmbeddingDedupe({ embed: async () => answer }, ['a']);
    await expect(dedupe.check('b')).rejects.toMatchObject({
      code: 'EMBEDDING',
      message: expect.stringContaining(message),
    });
  });

  it('a vector of zeros is near to nothing', async () => {
    const dedupe = createEmbeddingDedupe({ embed: async (texts) => texts.map(() => new Float32Array(3)) }, ['a']);
    expect(await dedupe.check('a')).toEqual({ duplicate: false, nearest: [], mean: 0 });
  });
});
