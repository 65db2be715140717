import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../../src/selfinstruct/dedupe/index.ts';
import { createThreadedRougeDedupe } from '../../../../src/selfinstruct/dedupe/node.ts';
import { createRougeDedupe } from '../../../../src/selfinstruct/dedupe/rougeDedupe.ts';
import { scanPool } from '../../../../src/selfinstruct/dedupe/scanPool.ts';
import { rouge } from './rougeFigures.ts';

const texts = rouge.run.map(([text]) => text);
/** Threads from the first text on, however little there is to do. */
const withThreads = (threads: number) => createRougeDedupe({}, [], (index, most) => scanPool(index, most, threads, 0));

async function inReplies(dedupe: ReturnType<typeof createRougeDedupe>): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (let i = 0; i < texts.length; i += 13) verdicts.push(...(await dedupe.admit(texts.slice(i, i + 13))));
  await dedupe.close();
  return verdicts;
}

describe('scan in threads', () => {
  it('gives the same verdicts bit by bit with any number of threads', async () => {
    const plain = await inReplies(createRougeDedupe({}));
    for (const threads of [2, 3]) expect(await inReplies(withThreads(threads))).toEqual(plain);
    expect(await inReplies(createThreadedRougeDedupe({ threads: 2 }))).toEqual(plain);
  });

  it('answers calls that overlap, each for the texts that were in when it was made', async () => {
    const dedupe = withThreads(2);
    const first = dedupe.check('a b c');
    dedupe.add('a x y');
    const second = dedupe.check('a b c');
    dedupe.add('b c z');
    expect((await first).nearest).toEqual([]);
    expect((await second).nearest.map((n) => n.text)).toEqual(['a x y']);
    expect((await dedupe.check('a b c')).nearest.map((n) => n.text)).toEqual(['b c z', 'a x y']);
    await dedupe.close();
  });

  it('says so when its threads are gone', async () => {
    const dedupe = withThreads(2);
    const waiting = expect(dedupe.check('a b')).rejects.toMatchObject({ code: 'DEDUPE_THREAD' });
    await dedupe.close();
    await waiting;
    await expect(dedupe.check('a b')).rejects.toMatchObject({ code: 'DEDUPE_THREAD' });
  });

  it('refuses no threads', () => {
    expect(() => createThreadedRougeDedupe({ threads: 0 })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
