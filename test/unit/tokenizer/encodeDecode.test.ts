import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromGguf, fromSentencePiece, fromTokenizerJson } from '../../../src/tokenizer/index.ts';
import { byteLevelGguf, byteLevelJson, everyKind, sentencePieceGguf } from './smallTokenizers.ts';
import { spmVariants } from './spmModels.ts';

const byteLevel = fromGguf(byteLevelGguf());
const sentencePiece = fromGguf(sentencePieceGguf());

const model = fromSentencePiece(spmVariants.bpe!());

describe.each([...everyKind, ['tokenizer.model', model]] as const)('%s', (_, tokenizer) => {
  test('decode undoes encode for any text without special tokens', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        // '▁' is how SentencePiece spells a space: it cannot come back.
        const plain = text.replaceAll('▁', ' ');
        const ids = tokenizer.encode(plain, { special: false });
        // A prefix that only the text's start gets ('first') is not given to a text that begins with a space.
        const expected = tokenizer === everyKind[3]![1] && plain.startsWith(' ') ? plain.slice(1) : plain;
        expect(tokenizer.decode(ids)).toBe(expected);
      }),
    );
  });

  test('with special: false no special token comes out, whatever the text spells', () => {
    const words = fc.constantFrom('<s>', '</s>', '<unk>', '<|end|>', '<|begin|>', '<pad>', 'the', ' ', '<', '|', 's>');
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
        const ids = tokenizer.encode(parts.join(''), { special: false });
        expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(tokenizer.decode(ids));
      }),
    );
  });

  test('a text is encoded the same way twice', () => {
    const text = 'hello the 🦙 world 好 12 hello';
    expect(tokenizer.encode(text)).toEqual(tokenizer.encode(text));
  });
});

describe('BOS', () => {
  test('is put in front on request only', () => {
    const ids = byteLevel.encode('the');
    expect(byteLevel.encode('the', { addBos: true })).toEqual([byteLevel.bosId, ...ids]);
    expect(sentencePiece.addBos).toBe(true);
    expect(sentencePiece.encode('the')[0]).not.toBe(sentencePiece.bosId);
  });

  test('is an error when the tokenizer has none', () => {
    const none = fromGguf(byteLevelGguf({ bos_token_id: undefined, add_bos_token: true }));
    expect(none.addBos).toBe(false);
    expect(() => none.encode('a', { addBos: true })).toThrow(expect.objectContaining({ code: 'TOKENIZER_NO_BOS' }));
  });
});

describe('ids', () => {
  test('bytes are what a token adds to a text; special tokens add nothing', () => {
    const [the] = byteLevel.encode(' the');
    expect(byteLevel.bytes(the!)).toEqual(new TextEncoder().encode(' the'));
    expect(sentencePiece.bytes(3 + 0xe9)).toEqual(Uint8Array.of(0xe9));
    expect(sentencePiece.bytes(sentencePiece.eosId!)).toBeUndefined();
    expect(byteLevel.bytes(byteLevel.vocabSize + 5)).toBeUndefined();
  });

  test('tokenText is the spelling of the vocabulary', () => {
    const the = byteLevel.encode(' the');
    expect(the.map((id) => byteLevel.tokenText(id))).toEqual(['Ġthe']);
    expect(sentencePiece.tokenText(3 + 10)).toBe('<0x0A>');
    expect(() => byteLevel.tokenText(byteLevel.vocabSize)).toThrow(`${byteLevel.vocabSize}`);
  });

  test('past the vocabulary there is no text; what is no id is an error', () => {
    expect(byteLevel.decode([...byteLevel.encode('the'), 10 ** 6])).toBe('the');
    for (const wrong of [-1, 0.5, Number.NaN]) {
      expect(() => byteLevel.decode([wrong])).toThrow(expect.objectContaining({ code: 'BAD_TOKEN_ID' }));
    }
  });

  test('typed arrays are taken too', () => {
    expect(sentencePiece.decode(Int32Array.from(sentencePiece.encode('hello world')))).toBe('hello world');
  });

  test('ends of a reply: EOS first, then special tokens known for it', () => {
    const { tokens } = { tokens: byteLevelGguf().get('tokenizer.ggml.tokens') as string[] };
    const renamed = tokens.map((token) => ({ '<|endless|>': '<|im_end|>', wordy: '<|eot_id|>' })[token] ?? token);
    const tokenizer = fromGguf(byteLevelGguf({ tokens: renamed }));
    // <|eot_id|> is user-defined here, not special.
    expect(tokenizer.eosIds).toEqual([tokens.indexOf('<|end|>'), tokens.indexOf('<|endless|>')]);
    const eot = fromGguf(byteLevelGguf({ eot_token_id: tokens.indexOf('<pad>') }));
    expect(eot.eosIds).toEqual([tokens.indexOf('<|end|>'), tokens.indexOf('<pad>')]);
  });
});

describe('long texts', () => {
  // Quadratic work would take far longer.
  const long = { 'one word': 'a'.repeat(100_000), spaces: ' '.repeat(100_000), words: 'hello the '.repeat(10_000) };
  test.each(Object.entries(long))('%s', (_, text) => {
    for (const tokenizer of [byteLevel, sentencePiece]) {
      const started = performance.now();
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });

  test('a SentencePiece vocabulary whose merges cross words is encoded as a whole', () => {
    const tokens = ['<unk>', '▁', 'a', 'b', 'a▁', 'a▁b'];
    const scores = [0, -3, -4, -5, -1, -2];
    const whole = fromGguf(
      new Map<string, unknown>([
        ['tokenizer.ggml.model', 'llama'],
        ['tokenizer.ggml.tokens', tokens],
        ['tokenizer.ggml.scores', scores],
        ['tokenizer.ggml.token_type', [2, 1, 1, 1, 1, 1]],
      ]),
    );
    expect(whole.encode('a b')).toEqual([1, 5]);
  });
});

test('merges may be pairs as well as texts', () => {
  const json = byteLevelJson('gpt-2');
  const pairs = { ...json, model: { ...json.model, merges: json.model.merges.map((merge) => merge.split(' ')) } };
  const text = ' hello the world 123';
  expect(fromTokenizerJson(pairs).encode(text)).toEqual(fromTokenizerJson(json).encode(text));
});
