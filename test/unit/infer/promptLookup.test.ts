// What is guessed from what came before, and when guessing rests.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGuessMeter, guessNext } from '../../../src/infer/promptLookup.ts';

describe('guesses', () => {
  it.each([
    [[], []],
    [[1, 2, 3], []],
    [[1, 2, 3, 4, 5, 6, 7], []],
    [
      [1, 2, 3, 9, 8, 7, 6, 1, 2, 3],
      [9, 8, 7, 6],
    ],
    // Lately counts more than long ago.
    [
      [1, 2, 3, 9, 1, 2, 3, 8, 5, 1, 2, 3],
      [8, 5, 1, 2],
    ],
    [
      [4, 4, 4, 4],
      [4, 4, 4, 4],
    ],
    [
      [5, 6, 5, 6, 5],
      [6, 5, 6, 5],
    ],
  ])('%j: %j', (ids, guess) => {
    expect(guessNext(ids)).toEqual(guess);
  });

  it('no more than are wanted', () => {
    expect(guessNext([4, 4, 4, 4], 2)).toEqual([4, 4]);
    expect(guessNext([4, 4, 4, 4], 0)).toEqual([]);
  });

  it('a text that goes round goes on', () => {
    const round = fc.array(fc.nat(3), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(round, fc.integer({ min: 3, max: 6 }), (part, times) => {
        const ids = Array.from({ length: part.length * times + 3 }, (_, i) => part[i % part.length]!);
        const guess = guessNext(ids);
        expect(guess).toHaveLength(4);
        // Of the beginnings that agree, the last one is what is taken.
        const end = ids.length;
        const at = ids.findLastIndex((_, i) => i < end - 3 && [0, 1, 2].every((k) => ids[i + k] === ids[end - 3 + k]));
        expect(guess[0]).toBe(ids[at + 3]);
      }),
    );
  });

  it('in no time: 4,096 tokens without a repetition are looked through in less than 0.1 ms', () => {
    const ids = Array.from({ length: 4096 }, (_, i) => i);
    for (let i = 0; i < 200; i++) guessNext(ids);
    const times = Array.from({ length: 101 }, () => {
      const begun = performance.now();
      for (let i = 0; i < 10; i++) guessNext(ids);
      return (performance.now() - begun) / 10;
    });
    expect(times.sort((a, b) => a - b)[50]!).toBeLessThan(0.1);
  });
});

describe('the meter', () => {
  it('lets guessing rest after a bad run, and try again later', () => {
    const meter = createGuessMeter();
    const tries = Array.from({ length: 40 }, () => {
      const wanted = meter.wanted();
      if (wanted) meter.note(0);
      return wanted;
    });
    expect(tries.slice(0, 3)).toEqual([true, true, false]);
    expect(tries.filter((t) => t).length).toBeLessThan(8);
    expect(tries.slice(4).some((t) => t)).toBe(true);
  });

  it('is content with a guess that is right now and then', () => {
    const meter = createGuessMeter();
    for (let i = 0; i < 50; i++) {
      expect(meter.wanted()).toBe(true);
      meter.note(i % 2 === 0 ? 2 : 0);
    }
  });
});
