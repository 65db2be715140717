// Random requests that start, end and vanish at random: nothing hangs, nothing is lost, and nobody notices anybody.
import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beamDefaults } from '../../../src/infer/index.ts';
import { fakeAdapter } from '../../helpers/fakeEngine.ts';
import { ask, collect, expected, ids, request, settle, setUp, type Wishes } from '../../helpers/generation.ts';

const beam = { ...beamDefaults, numBeams: 2 };

describe('whatever comes', () => {
  const beginnings = [ids(20), ids(9, 2), [...ids(20), ...ids(12, 4)]];
  const asked = fc.record({
    promptIds: fc
      .tuple(fc.constantFrom(...beginnings), fc.array(fc.integer({ min: 0, max: 290 }), { minLength: 1, maxLength: 4 }))
      .map(([a, b]) => [...a, ...b]),
    maxNewTokens: fc.integer({ min: 1, max: 14 }),
    sampling: fc.oneof(
      fc.constant({}),
      fc.record({ temperature: fc.constantFrom(0.5, 1.5), topK: fc.constantFrom(0, 5), seed: fc.nat(99) }),
      fc.record({ repetitionPenalty: fc.constant(1.3) }),
    ),
    stop: fc.constantFrom([], ['e']),
    adapter: fc.constantFrom(undefined, undefined, 'a'),
    topLogprobs: fc.constantFrom(undefined, undefined, 2),
    beam: fc.constantFrom(...new Array(7).fill(undefined), beam),
  });
  const wanted = asked.map(
    ({ adapter, topLogprobs, beam, ...rest }): Wishes => ({
      ...rest,
      ...(adapter ? { adapter } : {}),
      // Beams do neither.
      ...(beam ? { beam, sampling: {} } : topLogprobs === undefined ? {} : { topLogprobs }),
    }),
  );
  const event = fc.record({
    wishes: wanted,
    /** Turns of the event loop before it starts; pieces or turns after which it is aborted or left. */
    start: fc.nat(30),
    end: fc.constantFrom(undefined, undefined, 'abort', 'return', 'leave'),
    after: fc.nat(12),
  });
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise((next) => setImmediate(next));
  };

  it('everybody gets what they would get alone, and every slot comes back', async () => {
    const load = fc.record({
      slots: fc.integer({ min: 3, max: 8 }),
      slow: fc.nat(2),
      events: fc.array(event, { minLength: 1, maxLength: 14 }),
    });
    await fc.assert(
      fc.asyncProperty(load, async ({ slots, slow, events }) => {
        const { engine, generator } = setUp({ slots, gate: () => turns(slow) });
        await generator.addAdapter('a', fakeAdapter());
        const alone = async (wishes: Wishes) => {
          if (!wishes.beam) return expected(request(wishes));
          const other = setUp({ slots: 3 });
          await other.generator.addAdapter('a', fakeAdapter());
          const { text, ids, finish } = await ask(other.generator, wishes);
          return { text, ids, finish };
        };
        await Promise.all(
          events.map(async ({ wishes, start, end, after }) => {
            await turns(start);
            const stop = new AbortController();
            const answer = generator.generate(request({ ...wishes, signal: stop.signal }));
            if (end === 'leave') {
              let left = after;
              for await (const _ of answer) if (left-- === 0) break;
              return;
            }
            if (end) {
              void turns(after).then(() => void (end === 'abort' ? stop.abort() : answer.return(undefined as never)));
            }
            // Who is left before it was asked has nothing to say.
            const got = await collect(answer).catch((e) => {
              if (end !== 'return') throw e;
            });
            const whole = await alone(wishes);
            if (!end) expect(got).toMatchObject(whole);
            else if (got?.finish !== 'aborted') {
              if (got) expect(got).toMatchObject(whole);
            } else if (!wishes.beam) expect(whole.ids.slice(0, got.ids.length)).toEqual(got.ids);
            expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
          }),
        );
        await settle();
        expect(generator.stats()).toMatchObject({ running: 0, waiting: 0 });
        // As many as there are slots can start at once: none is lost.
        const before = engine.passes.length;
        const last = Array.from({ length: slots }, (_, i) => ({
          promptIds: ids(7, i + 11),
          maxNewTokens: 6,
          ignoreEos: true,
        }));
        const answers = await Promise.all(last.map((w) => ask(generator, w)));
        for (const [i, w] of last.entries()) expect(answers[i]).toMatchObject(await expected(request(w)));
        expect(Math.max(...engine.passes.slice(before).map((p) => p.ids.length))).toBe(slots);
        await generator.close();
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
