// Flags and knobs, work in order, answers side by side.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { adaptersByName } from '../../../src/cli/adapterFlags.ts';
import { inOrder } from '../../../src/cli/inOrder.ts';
import { defaultKnobs, findKnob, type Knobs, knobs } from '../../../src/cli/knobs.ts';
import { askOptions, checkKnobs, describeKnobs } from '../../../src/cli/knobsInUse.ts';
import { blocks, sideBySide } from '../../../src/cli/sideBySide.ts';

const folder = mkdtempSync(join(tmpdir(), 'huacaya-knobs-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('adapters', () => {
  it('are called by their names, or after their folders', () => {
    expect(adaptersByName(['runs/a/adapter', 'runs/b/adapter', 'x=runs/a/adapter', 'runs/a'])).toEqual({
      x: 'runs/a/adapter',
      a: 'runs/a/adapter',
      b: 'runs/b/adapter',
      'a-2': 'runs/a',
    });
    // A name that was given goes before one that was made up.
    expect(adaptersByName(['runs/a', 'a=runs/b'])).toEqual({ 'a-2': 'runs/a', a: 'runs/b' });
  });

  it('may lie in a folder with a = in its name', () => {
    const path = join(folder, 'lr=1');
    writeFileSync(path, '');
    expect(Object.values(adaptersByName([path, 'runs/lr=2/adapter']))).toEqual([path, 'runs/lr=2/adapter']);
    expect(adaptersByName(['x=runs/lr=2'])).toEqual({ x: 'runs/lr=2' });
  });

  it('cannot share a name', () => {
    expect(() => adaptersByName(['a=x', 'a=y'])).toThrow(/two adapters are called a/);
    expect(() => adaptersByName(['a b=x'])).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

const given = (changes: Partial<Knobs>) => ({ ...defaultKnobs, ...changes });

describe('knobs', () => {
  it('are one for each setting, found by flag or request name', () => {
    expect(knobs.map((k) => k.key).sort()).toEqual(Object.keys(defaultKnobs).sort());
    for (const k of knobs)
      expect([findKnob(k.name), findKnob(k.name.replaceAll('-', '_')), findKnob(k.key)]).toEqual([k, k, k]);
    expect(findKnob('warmth')).toBeUndefined();
  });

  it('that are repeated add up', () => {
    const [stop, bias, ids] = ['stop', 'logit-bias', 'stop-token-ids'].map((n) => findKnob(n)!);
    expect(stop!.parse('b, c', ['a'])).toEqual(['a', 'b, c']);
    expect(bias!.parse('2:-1.5,3:4', new Map([[1, 2]]))).toEqual(
      new Map([
        [1, 2],
        [2, -1.5],
        [3, 4],
      ]),
    );
    expect(ids!.parse('3, 4', [1])).toEqual([1, 3, 4]);
  });

  it.each([
    ['temperature', ''],
    ['temperature', 'warm'],
    ['temperature', 'Infinity'],
    ['logit-bias', '5'],
    ['logit-bias', 'x:1'],
    ['logit-bias', '1:2:3'],
    ['logit-bias', '-1:2'],
    ['logit-bias', '1:'],
    ['stop-token-ids', '1.5'],
    ['stop-token-ids', 'a'],
    ['early-stopping', 'maybe'],
  ])('--%s "%s" is refused', (name, text) => {
    expect(() => findKnob(name)!.parse(text)).toThrow(expect.objectContaining({ code: 'USAGE', exitCode: 2 }));
  });

  it.each<[Partial<Knobs>, RegExp]>([
    [{ topP: 0.9 }, /top_p 0.9 has no effect at temperature 0/],
    [{ maxNewTokens: 1.5 }, /max-new-tokens is 1.5/],
    [{ logprobs: 21 }, /logprobs is 21/],
    [{ lengthPenalty: 2 }, /length-penalty is 2, but without beams/],
    [{ earlyStopping: true }, /early-stopping is true, but without beams/],
    [{ numBeams: 4, temperature: 1 }, /beam search does not sample/],
    [{ numBeams: 4, logprobs: 1 }, /logprobs do not go together/],
    [{ numBeams: 0 }, /num_beams is 0/],
    [{ jsonSchema: { path: 'x.json', schema: { type: 'nonsense' } } }, /nonsense/],
    [{ adapterScale: 2000 }, /adapter-scale is 2000/],
  ])('that contradict each other are refused: %j', (changes, message) => {
    expect(() => checkKnobs(given(changes))).toThrow(message);
  });

  it('that need an adapter or a token of the model are refused without', () => {
    expect(() => checkKnobs(given({ adapterScale: 0.5 }), { adapter: false })).toThrow(/no adapter answers/);
    expect(() => checkKnobs(given({ adapterScale: 0.5 }), { adapter: true })).not.toThrow();
    expect(() => checkKnobs(given({ stopTokenIds: [300] }), { vocabSize: 300 })).toThrow(/0 to 299/);
    expect(() => checkKnobs(given({ logitBias: new Map([[300, 1]]) }), { vocabSize: 300 })).toThrow(/0 to 299/);
  });

  it('say what will really happen', () => {
    const schema = { path: 'x.json', schema: { type: 'object' } };
    expect(describeKnobs(defaultKnobs)).toBe('greedy');
    expect(describeKnobs(given({ temperature: 0.7, seed: 3, jsonSchema: schema }))).toBe(
      'sampling, temperature 0.7, seed 3, JSON of x.json',
    );
    expect(describeKnobs(given({ numBeams: 4, earlyStopping: 'never', repetitionPenalty: 1.1 }))).toBe(
      'beam search with 4 beams, early_stopping never, repetition_penalty 1.1',
    );
  });

  it('become what the assistant is asked', () => {
    const k = given({ stop: ['a'], stopTokenIds: [4], logprobs: 0, adapterScale: 0.5, numBeams: 1 });
    const adapter = askOptions(k, { id: 'a', kind: 'adapter' });
    expect(adapter).toMatchObject({ model: 'a', stop: ['a'], stopIds: [4], topLogprobs: 0, adapterScale: 0.5 });
    expect(askOptions(k, { id: 'tiny', kind: 'base' })).not.toHaveProperty('adapterScale');
    expect(askOptions(defaultKnobs, { id: 'a', kind: 'adapter' })).not.toHaveProperty('topLogprobs');
    expect(askOptions(given({ numBeams: 3 }), { id: 'a', kind: 'base' })).toMatchObject({
      beam: { numBeams: 3, lengthPenalty: 1, earlyStopping: false, returned: 1 },
    });
  });
});

describe('work in order', () => {
  const later = (ms: number) => new Promise((done) => setTimeout(done, ms));

  it('gives results in the order of the items, so many at a time', async () => {
    let [running, most] = [0, 0];
    const items = [9, 0, 5, 1, 0, 7, 2, 0];
    const work = async (ms: number) => {
      most = Math.max(most, ++running);
      await later(ms);
      running--;
      return ms;
    };
    const results: number[] = [];
    for await (const r of inOrder(items, 3, work)) results.push(r);
    expect(results).toEqual(items);
    expect(most).toBe(3);
  });

  it('begins nothing after a failure, and waits for what runs', async () => {
    const begun: number[] = [];
    let ended = 0;
    const work = async (i: number) => {
      begun.push(i);
      await later(i === 1 ? 0 : 10);
      if (i === 1) throw new Error('one');
      ended++;
    };
    const all = async () => {
      for await (const _ of inOrder([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 2, work)) {
      }
    };
    await expect(all()).rejects.toThrow('one');
    expect(begun.length).toBeLessThanOrEqual(4);
    expect(ended).toBe(begun.length - 1);
  });

  it('stops when its reader leaves', async () => {
    const begun: number[] = [];
    for await (const r of inOrder(
      Array.from({ length: 100 }, (_, i) => i),
      2,
      async (i) => begun.push(i) - 1,
    )) {
      if (r === 1) break;
    }
    const count = begun.length;
    await later(5);
    expect(begun).toHaveLength(count);
    expect(count).toBeLessThan(100);
  });
});

describe('answers side by side', () => {
  const texts = ['one', 'two', 'three'].map((text) => ({ title: `${text}:`, text: `${text} word `.repeat(12).trim() }));

  it('stand in columns where there are two and room for them', () => {
    const lines = sideBySide(texts.slice(0, 2), 80);
    expect(lines[0]).toMatch(/^one: +\| two:$/);
    for (const l of lines) expect(l.length).toBeLessThanOrEqual(80);
  });

  it('stand one under the other where there are more, or no room', () => {
    expect(sideBySide(texts, 80)).toEqual(blocks(texts, 80));
    expect(sideBySide(texts.slice(0, 2), 60)).toEqual(blocks(texts.slice(0, 2), 60));
  });

  it('lose no word', () => {
    const words = fc.array(fc.string({ unit: fc.constantFrom(...'abcdé'), minLength: 1, maxLength: 30 }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(words, fc.integer({ min: 72, max: 140 }), (list, width) => {
        const lines = sideBySide(
          [
            { title: 'L', text: list.join(' ') },
            { title: 'R', text: '' },
          ],
          width,
        );
        expect(
          lines
            .slice(2)
            .map((l) => l.split(' |')[0]!.replaceAll(' ', ''))
            .join(''),
        ).toBe(list.join(''));
      }),
    );
  });
});
