import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStopFilter } from '../../../src/infer/index.ts';

/** What is shown of a text that comes in pieces, and the stop that was met. */
function filtered(stops: readonly string[], pieces: readonly string[]) {
  const filter = createStopFilter(stops);
  const shown = pieces.map((p) => filter.push(p));
  return { pieces: shown, text: shown.join('') + filter.flush(), met: filter.met };
}

describe('a stop string', () => {
  it('ends the text before it', () => {
    expect(filtered(['END'], ['one ', 'two END three'])).toMatchObject({ text: 'one two ', met: 'END' });
  });

  it('is found across pieces, and no part of it was shown', () => {
    const { pieces, met } = filtered(['### In'], ['a\n', '#', '##', ' I', 'n', 'struction']);
    expect(pieces).toEqual(['a\n', '', '', '', '', '']);
    expect(met).toBe('### In');
  });

  it('that does not come is shown after all', () => {
    expect(filtered(['###'], ['a #', '# b'])).toEqual({ pieces: ['a ', '## b'], text: 'a ## b', met: undefined });
    expect(filtered(['###'], ['a ##'])).toEqual({ pieces: ['a '], text: 'a ##', met: undefined });
  });

  it('may begin inside what looked like its beginning', () => {
    expect(filtered(['aab'], ['aa', 'a', 'b!'])).toMatchObject({ text: 'a', met: 'aab' });
    expect(filtered(['abac'], ['aba', 'bac'])).toMatchObject({ text: 'ab', met: 'abac' });
  });

  it('among several is the one that is complete first', () => {
    expect(filtered(['xyz', 'y'], ['x', 'y', 'z'])).toMatchObject({ text: 'x', met: 'y' });
    expect(filtered(['xyz', 'y'], ['xyz'])).toMatchObject({ text: 'x', met: 'y' });
    expect(filtered(['b', 'ab'], ['ab'])).toMatchObject({ text: '', met: 'ab' });
  });

  it('that is empty is none', () => {
    expect(filtered([''], ['a', 'b'])).toEqual({ pieces: ['a', 'b'], text: 'ab', met: undefined });
  });

  it('ends everything: later pieces are not shown', () => {
    expect(filtered(['.'], ['a.', 'b', 'c']).pieces).toEqual(['a', '', '']);
  });
});

/** Where the stop that is complete first begins and ends; of those complete at once, the longest. */
function firstStop(stops: readonly string[], text: string) {
  for (let end = 1; end <= text.length; end++) {
    const done = stops.filter((s) => s !== '' && text.slice(0, end).endsWith(s));
    if (done.length > 0) return end - Math.max(...done.map((s) => s.length));
  }
  return undefined;
}

// Two letters: nearly every piece is the beginning of something.
const letters = (maxLength: number) =>
  fc.array(fc.constantFrom('a', 'b', '🦙'), { maxLength }).map((parts) => parts.join(''));
const stopLists = fc.array(letters(4), { maxLength: 3 });

describe('for any text in any pieces', () => {
  it('exactly what comes before the first stop is shown', () => {
    fc.assert(
      fc.property(stopLists, fc.array(letters(3), { maxLength: 12 }), (stops, pieces) => {
        const whole = pieces.join('');
        const at = firstStop(stops, whole);
        const { text, met } = filtered(stops, pieces);
        expect(text).toBe(whole.slice(0, at));
        expect(met === undefined).toBe(at === undefined);
      }),
      { numRuns: 1000 },
    );
  });

  it('nothing is shown that has to be taken back', () => {
    fc.assert(
      fc.property(stopLists, fc.array(letters(3), { maxLength: 12 }), (stops, pieces) => {
        const filter = createStopFilter(stops);
        const whole = pieces.join('');
        const limit = firstStop(stops, whole) ?? whole.length;
        let shown = '';
        for (const piece of pieces) {
          shown += filter.push(piece);
          expect(whole.startsWith(shown)).toBe(true);
          expect(shown.length).toBeLessThanOrEqual(limit);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('what is held back is only what may still become a stop', () => {
    fc.assert(
      fc.property(stopLists, letters(12), (stops, text) => {
        const filter = createStopFilter(stops);
        const held = text.slice(filter.push(text).length);
        if (filter.met === undefined && held !== '') expect(stops.some((s) => s.startsWith(held))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
