// Beams in the slots of an engine that notices every wrong key or value.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { engineBeamModel, planMoves } from '../../../src/infer/engineBeamModel.ts';
import { type BeamModel, beamDefaults, beamSearch, candidatesOfRow } from '../../../src/infer/index.ts';
import { FakeEngine, fakeAdapter, fakeAdapterKey, hashModel } from '../../helpers/fakeEngine.ts';
import { ask, ids, setUp } from '../../helpers/generation.ts';
import { tinyVocabSize } from '../../helpers/tinyTokenizer.ts';

it('moves: every slot ends with what its parent held, whatever the parents', () => {
  const parents = fc.integer({ min: 1, max: 8 }).chain((n) => fc.array(fc.nat(n - 1), { minLength: n, maxLength: n }));
  fc.assert(
    fc.property(parents, (from) => {
      const slots = [...from.keys(), -1];
      const moves = planMoves(from, from.length);
      for (const [a, b] of moves) slots[b] = slots[a]!;
      expect(slots.slice(0, -1)).toEqual(from);
      expect(moves.length).toBeLessThanOrEqual(from.length + Math.floor(from.length / 2));
    }),
    { numRuns: 500 },
  );
});

/** Every beam's logits from its whole text. */
function plainModel(adapter = ''): BeamModel {
  let texts: number[][] = [];
  const row = (text: number[], best: number) => {
    const { ids, logits, mass } = candidatesOfRow(
      hashModel(
        text,
        text.map(() => adapter),
      ),
      best,
      1,
    );
    return { ids, logits, logSumExp: logits[0]! + Math.log(mass) };
  };
  return {
    vocabSize: tinyVocabSize,
    async start(prompt, best) {
      texts = [[...prompt]];
      return row(texts[0]!, best);
    },
    async step(parents, tokens, best) {
      texts = parents.map((parent, i) => [...texts[parent]!, tokens[i]!]);
      return texts.map((text) => row(text, best));
    },
    close() {},
  };
}

describe('beam search on an engine', () => {
  it.each([2, 3, 5])('of %i beams answers as it does without a cache', async (numBeams) => {
    for (const promptIds of [ids(1), ids(7), ids(300)]) {
      const options = { ...beamDefaults, numBeams, returned: numBeams, maxNewTokens: 15, eosIds: [3, 4] };
      const engine = new FakeEngine({ slots: numBeams + 1, capacity: 400 });
      const found = await beamSearch(engineBeamModel(engine.asEngine, numBeams, undefined), promptIds, options);
      const wanted = await beamSearch(plainModel(), promptIds, options);
      expect(found.map((a) => a.ids)).toEqual(wanted.map((a) => a.ids));
      found.forEach((a, i) => {
        expect(a.score).toBeCloseTo(wanted[i]!.score, 5);
      });
      // Beams did change places.
      expect(engine.copies.some(([, , from]) => from === promptIds.length)).toBe(true);
    }
  });

  it('uses the adapter', async () => {
    const engine = new FakeEngine({ slots: 3 });
    engine.setAdapter('a', fakeAdapter(4));
    const use = { name: 'a', scale: 2 };
    const options = { ...beamDefaults, numBeams: 2, maxNewTokens: 9, eosIds: [] };
    const [found] = await beamSearch(engineBeamModel(engine.asEngine, 2, use), ids(5), options);
    const [wanted] = await beamSearch(plainModel(fakeAdapterKey(use, fakeAdapter(4))), ids(5), options);
    expect(found!.ids).toEqual(wanted!.ids);
  });

  it('needs few programs, also with a repetition penalty', async () => {
    const engine = new FakeEngine({ slots: 3, capacity: 128 });
    const options = { ...beamDefaults, numBeams: 2, maxNewTokens: 90, eosIds: [], repetitionPenalty: 1.5 };
    const [found] = await beamSearch(engineBeamModel(engine.asEngine, 2, undefined), ids(30), options);
    expect(found!.ids).toEqual((await beamSearch(plainModel(), ids(30), options))[0]!.ids);
    expect([...engine.candidateCounts]).toEqual([64, 128]);
  });
});

it('a generator gives text and stop string of the best beam, and keeps no slot for known that beams were in', async () => {
  const { engine, generator } = setUp({ slots: 4 });
  const beam = { ...beamDefaults, numBeams: 2 };
  await ask(generator, { promptIds: ids(20), maxNewTokens: 2 });
  const answer = await ask(generator, { promptIds: ids(20), beam, maxNewTokens: 10 });
  const [wanted] = await beamSearch(plainModel(), ids(20), { ...beam, maxNewTokens: 10, eosIds: [299] });
  expect(answer).toMatchObject({ ids: wanted!.ids, finish: wanted!.finish, cachedTokens: 0, prefillSeconds: 0 });
  expect(answer.pieces).toHaveLength(1);
  expect((await ask(generator, { promptIds: ids(20), maxNewTokens: 2 })).cachedTokens).toBe(0);
  expect(answer.text.length).toBeGreaterThan(2);
  const stop = answer.text[2]!;
  const stopped = await ask(generator, { promptIds: ids(20), beam, maxNewTokens: 10, stop: [stop] });
  if (stopped.finish === 'stop') expect(stopped).toMatchObject({ stopString: stop });
  expect(stopped.text).not.toContain(stop);
  expect(engine.passes.length).toBeGreaterThan(20);
});
