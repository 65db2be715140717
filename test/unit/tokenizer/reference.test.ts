// Ids and texts are those of Python's `tokenizers` for the same vocabulary, for every pre-tokenizer and normalizer.
import { describe, expect, test } from 'vitest';
import { fromGguf, fromTokenizerJson, type Tokenizer } from '../../../src/tokenizer/index.ts';
import {
  byteLevel,
  byteLevelGguf,
  byteLevelJson,
  type Case,
  sentencePiece,
  sentencePieceGguf,
  sentencePieceJson,
} from './smallTokenizers.ts';

function expectReference(tokenizer: Tokenizer, cases: readonly Case[]) {
  expect(cases.length).toBeGreaterThan(50);
  for (const { text, ids, plainIds = ids, decoded, visible } of cases) {
    expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
    expect({ text, ids: tokenizer.encode(text, { special: false }) }).toEqual({ text, ids: plainIds });
    expect(tokenizer.decode(ids)).toBe(decoded);
    if (visible !== undefined) expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(visible);
  }
}

describe('tokenizer.json', () => {
  test.each(Object.keys(byteLevel.variants))('byte-level, %s', (name) => {
    expectReference(fromTokenizerJson(byteLevelJson(name)), byteLevel.variants[name]!.cases);
  });

  test.each(Object.keys(sentencePiece.variants))('SentencePiece, %s', (name) => {
    expectReference(fromTokenizerJson(sentencePieceJson(name)), sentencePiece.variants[name]!.cases);
  });
});

describe('GGUF', () => {
  test.each(['smollm', 'gpt-2', 'llama-bpe', 'qwen2'])('byte-level, %s', (pre) => {
    expectReference(fromGguf(byteLevelGguf({ pre })), byteLevel.variants[pre]!.cases);
  });

  test('other names of the same pre-tokenizers', () => {
    const { cases } = byteLevel.variants['llama-bpe']!;
    expectReference(fromGguf(byteLevelGguf({ pre: 'llama3' })), cases);
    expectReference(fromGguf(byteLevelGguf({ pre: 'default' })), byteLevel.variants['gpt-2']!.cases);
    expectReference(fromGguf(byteLevelGguf({ pre: undefined })), byteLevel.variants['gpt-2']!.cases);
  });

  test('SentencePiece: merges come from the scores', () => {
    expectReference(fromGguf(sentencePieceGguf()), sentencePiece.variants.legacy!.cases);
  });

  test('SentencePiece: without a space in front', () => {
    expectReference(
      fromGguf(sentencePieceGguf({ add_space_prefix: false })),
      sentencePiece.variants['no-prefix']!.cases,
    );
  });

  test('SentencePiece: merges in the file win over scores', () => {
    const merges = sentencePiece.merges.map((pair) => pair.join(' '));
    const tokenizer = fromGguf(sentencePieceGguf({ merges, scores: undefined }));
    expectReference(tokenizer, sentencePiece.variants.legacy!.cases);
  });
});
