// Ids and texts are those of the SentencePiece library 0.2.3 (test/fixtures/tokenizer/spm/make.py).
import llamaJs from 'llama-tokenizer-js';
import { describe, expect, test } from 'vitest';
import { fromSentencePiece } from '../../../src/tokenizer/index.ts';
import { spmExpected, spmVariants } from './spmModels.ts';
import { spmFile, spmStrings } from './spmStrings.ts';

const STRINGS = spmStrings(5000);
const HASHES = spmFile('hashes.bin');
const utf8 = new TextEncoder();

/** As in make.py: 16 bits of FNV-1a over ids, -1, and the text's bytes. */
function fnv(ids: readonly number[], text: string): number {
  let value = 0x811c9dc5;
  for (const unit of ids) value = Math.imul(value ^ unit, 0x01000193);
  value = Math.imul(value ^ -1, 0x01000193);
  for (const unit of utf8.encode(text)) value = Math.imul(value ^ unit, 0x01000193);
  return (value ^ (value >>> 16)) & 0xffff;
}

/** Where the hashes of a variant begin, in make.py's order. */
function hashOf(name: string, index: number): number {
  let start = 0;
  for (const [other, { count }] of Object.entries(spmExpected)) {
    if (other === name) break;
    start += count;
  }
  return HASHES.readUInt16LE(2 * (start + index));
}

describe.each(Object.keys(spmExpected))('%s', (name) => {
  const { count, ids, texts, wild, joined } = spmExpected[name]!;
  const tokenizer = fromSentencePiece(spmVariants[name]!());
  // Control symbols that a text spells are text to the library.
  const encode = (text: string) => tokenizer.encode(text, { special: false });
  const decode = (list: readonly number[]) => tokenizer.decode(list, { skipSpecial: true });

  test('the first strings, ids and texts in full', () => {
    for (const [i, expected] of ids.entries()) {
      const text = STRINGS[i]!;
      expect({ text, ids: encode(text), decoded: decode(expected) }).toEqual({
        text,
        ids: expected,
        decoded: texts[i],
      });
    }
  });

  test(`${count} strings, by hash`, () => {
    const wrong = STRINGS.slice(0, count).filter((text, i) => {
      const encoded = encode(text);
      return fnv(encoded, decode(encoded)) !== hashOf(name, i);
    });
    expect(wrong).toEqual([]);
    if (joined === undefined) return;
    // One very long text: sums of scores lose digits there, and offers pile up.
    const encoded = encode(STRINGS.slice(0, 3000).join(''));
    expect(fnv(encoded, decode(encoded))).toBe(joined);
  });

  test('ids that no text has', () => {
    for (const [list, text] of wild) expect({ list, text: decode(list) }).toEqual({ list, text });
  });

  test('a stream gives the same text', () => {
    for (const [list, text] of wild) {
      const stream = tokenizer.stream();
      expect(list.map((id) => stream.push(id)).join('') + stream.flush()).toBe(text);
    }
  });
});

test("LLaMA's vocabulary: the ids of llama-tokenizer-js", () => {
  const tokenizer = fromSentencePiece(spmVariants.llama!());
  // It has no rule for the empty text.
  for (const text of STRINGS.slice(1, 201)) {
    expect({ text, ids: tokenizer.encode(text, { special: false }) }).toEqual({
      text,
      ids: llamaJs.encode(text, false, true),
    });
  }
});
