import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromSentencePiece, type Tokenizer } from '../../../src/tokenizer/index.ts';
import { everyKind } from './smallTokenizers.ts';
import { spmVariants } from './spmModels.ts';

function streamed(tokenizer: Tokenizer, ids: readonly number[], skipSpecial: boolean) {
  const decoder = tokenizer.stream({ skipSpecial });
  const parts = ids.map((id) => decoder.push(id));
  return { parts, last: decoder.flush() };
}

const model = fromSentencePiece(spmVariants.bpe!());

describe.each([...everyKind, ['tokenizer.model', model]] as const)('%s', (_, tokenizer) => {
  test('pushes and flush add up to decode, for any ids at all', () => {
    const id = fc.nat({ max: tokenizer.vocabSize + 5 });
    fc.assert(
      fc.property(fc.array(id, { maxLength: 40 }), fc.boolean(), (ids, skipSpecial) => {
        const { parts, last } = streamed(tokenizer, ids, skipSpecial);
        expect(parts.join('') + last).toBe(tokenizer.decode(ids, { skipSpecial }));
      }),
      { numRuns: 300 },
    );
  });

  test('no push ends within a character, and nothing is held back longer than it must', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), (text) => {
        const ids = tokenizer.encode(text, { special: false });
        const { parts, last } = streamed(tokenizer, ids, true);
        expect(parts.join('')).not.toContain('\ufffd');
        expect(last).toBe('');
      }),
    );
  });

  test('a character in pieces comes with its last piece', () => {
    const ids = tokenizer.encode('👩🇩', { special: false });
    const { parts } = streamed(tokenizer, ids, true);
    expect(ids.length).toBeGreaterThan(4);
    expect(parts.filter((part) => part.trim() !== '')).toEqual(['👩', '🇩']);
  });

  test('what stops within a character ends in a replacement character', () => {
    // SentencePiece's own decoder has one for each of the three bytes.
    const mark = tokenizer === model ? '\ufffd\ufffd\ufffd' : '\ufffd';
    const ids = tokenizer.encode('the👩', { special: false }).slice(0, -1);
    const { parts, last } = streamed(tokenizer, ids, true);
    expect(parts.join('').trim()).toBe('the');
    expect(last).toBe(mark);
    expect(tokenizer.decode(ids)).toBe(`the${mark}`);
  });

  test('a byte order mark is text like any other', () => {
    const text = '\ufeffthe\ufeff';
    const { parts, last } = streamed(tokenizer, tokenizer.encode(text), true);
    expect(parts.join('') + last).toBe(text);
  });
});

test('special tokens are left out unless asked for', () => {
  const [, tokenizer] = everyKind[0]!;
  const ids = tokenizer.encode('the<|end|>the');
  expect(ids).toHaveLength(3);
  const decoder = tokenizer.stream();
  expect(ids.map((id) => decoder.push(id))).toEqual(['the', '', 'the']);
  expect(streamed(tokenizer, ids, false).parts).toEqual(['the', '<|end|>', 'the']);
});

test('SentencePiece drops the first space only, also behind special tokens', () => {
  const [, tokenizer] = everyKind[1]!;
  const ids = [1, ...tokenizer.encode('the world'), 2];
  const decoder = tokenizer.stream();
  expect(ids.map((id) => decoder.push(id))).toEqual(['', 'the', ' world', '']);
});

test('the cost of a token does not grow with what came before', () => {
  const [, tokenizer] = everyKind[1]!;
  const ids = tokenizer.encode('hello 👩 ');
  const decoder = tokenizer.stream();
  const started = performance.now();
  let length = 0;
  for (let i = 0; i < 200_000; i++) length += decoder.push(ids[i % ids.length]!).length;
  expect(length).toBeGreaterThan(100_000);
  // Decoding the whole history each time would take hours.
  expect(performance.now() - started).toBeLessThan(10_000);
});
