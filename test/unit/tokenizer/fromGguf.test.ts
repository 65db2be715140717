import { describe, expect, test } from 'vitest';
import { fromGguf } from '../../../src/tokenizer/index.ts';
import { byteLevelGguf, metadata, sentencePiece, sentencePieceGguf } from './smallTokenizers.ts';
import { spmExpected, spmVariants } from './spmModels.ts';
import { spmStrings } from './spmStrings.ts';

/** A SentencePiece model as a GGUF file carries it. */
function pieceGguf(variant: string, changes: Record<string, unknown> = {}) {
  const { pieces, scores, types } = spmVariants[variant]!();
  return metadata({
    model: 'llama',
    pre: 'default',
    tokens: pieces,
    scores,
    token_type: Int32Array.from(types),
    bos_token_id: 1,
    eos_token_id: 2,
    unknown_token_id: 0,
    ...changes,
  });
}

test('settings are read', () => {
  const map = byteLevelGguf({ add_bos_token: true, add_eos_token: true, padding_token_id: 3n });
  map.set('tokenizer.chat_template', '{{ x }}');
  expect(fromGguf(map)).toMatchObject({ addBos: true, addEos: true, padId: 3, chatTemplate: '{{ x }}', repairs: [] });
});

test('defaults are those of the kind of model', () => {
  expect(fromGguf(byteLevelGguf())).toMatchObject({ addBos: false, addEos: false, chatTemplate: undefined });
  expect(fromGguf(byteLevelGguf({ pre: 'llama-bpe' })).addBos).toBe(true);
  const bare = fromGguf(sentencePieceGguf({ bos_token_id: undefined, eos_token_id: undefined }));
  expect(bare).toMatchObject({ addBos: true, bosId: 1, eosId: 2, padId: undefined });
});

test('without token types only the named tokens are special', () => {
  const tokenizer = fromGguf(byteLevelGguf({ token_type: undefined }));
  const eos = tokenizer.eosId!;
  expect(tokenizer.encode('<|end|>')).toEqual([eos]);
  expect(tokenizer.encode('<mark>').length).toBeGreaterThan(1);
});

test('plain arrays do as well as typed ones', () => {
  const plain = sentencePieceGguf({ scores: sentencePiece.scores, token_type: sentencePiece.types });
  const text = 'hello world 🙂语';
  expect(fromGguf(plain).encode(text)).toEqual(fromGguf(sentencePieceGguf()).encode(text));
});

describe('the ids of the SentencePiece library, from scores', () => {
  test.each([
    ['LLaMA', 'llama', {}],
    ['user-defined tokens and no space in front, as Gemma', 'bpe, bare', { add_space_prefix: false }],
  ])('%s', (_, variant, changes) => {
    const tokenizer = fromGguf(pieceGguf(variant, changes));
    const { ids } = spmExpected[variant]!;
    for (const [i, text] of spmStrings(ids.length).entries()) {
      expect({ text, ids: tokenizer.encode(text, { special: false }) }).toEqual({ text, ids: ids[i] });
    }
  });
});

test("Phi-3's tokens take the white space behind them", () => {
  const map = pieceGguf('bpe');
  const ids = (text: string) => fromGguf(map).encode(text);
  expect(ids('</s>\n b<s>\nc')).not.toEqual(ids('</s>b<s>\nc'));
  map.set('general.architecture', 'phi3');
  expect(ids('</s>\n b<s>\nc')).toEqual(ids('</s>b<s>\nc'));
  expect(ids('<s>\nc')).not.toEqual(ids('<s>c'));
});

describe('refused', () => {
  const size = sentencePiece.pieces.length;
  const bad: [string, Map<string, unknown>, string][] = [
    ['no model', new Map(), 'no tokenizer.ggml.model'],
    ['no tokens', metadata({ model: 'llama', scores: [] }), 'no tokenizer.ggml.tokens'],
    ['tokens that are no array', metadata({ model: 'llama', tokens: 'abc' }), 'tokenizer.ggml.tokens is not an array'],
    ['tokens that are no texts', metadata({ model: 'llama', tokens: ['a', 1] }), 'tokenizer.ggml.tokens[1] is 1'],
    [
      'too few scores',
      sentencePieceGguf({ scores: [0, 1] }),
      `scores has 2 entries, tokenizer.ggml.tokens has ${size}`,
    ],
    ['too many types', sentencePieceGguf({ token_type: new Int32Array(size + 1) }), `has ${size + 1} entries`],
    ['scores that are no numbers', sentencePieceGguf({ scores: sentencePiece.pieces }), 'scores[0] is "<unk>"'],
    ['neither scores nor merges', sentencePieceGguf({ scores: undefined }), 'neither tokenizer.ggml.scores'],
    ['no merges', byteLevelGguf({ merges: undefined }), 'no tokenizer.ggml.merges'],
    ['a merge of three', byteLevelGguf({ merges: ['a b c'] }), 'merges[0] is "a b c"'],
    ['a merge of unknown tokens', byteLevelGguf({ merges: ['q w'] }), 'needs the token "qw"'],
    [
      'a BOS id outside',
      sentencePieceGguf({ bos_token_id: size }),
      `bos_token_id is ${size}, but the vocabulary has ${size}`,
    ],
    ['an EOS id of -1', sentencePieceGguf({ eos_token_id: 2 ** 32 - 1 }), 'eos_token_id is 4294967295'],
  ];
  test.each(bad)('%s', (_, map, message) => {
    expect(() => fromGguf(map)).toThrow(expect.objectContaining({ code: 'BAD_TOKENIZER' }));
    expect(() => fromGguf(map)).toThrow(message);
  });

  test('an unknown pre-tokenizer or model is named', () => {
    const unsupported = expect.objectContaining({ code: 'TOKENIZER_UNSUPPORTED' });
    expect(() => fromGguf(byteLevelGguf({ pre: 'tekken-9' }))).toThrow(unsupported);
    expect(() => fromGguf(byteLevelGguf({ pre: 'tekken-9' }))).toThrow('"tekken-9"');
    expect(() => fromGguf(metadata({ model: 'rwkv' }))).toThrow('"rwkv"');
    expect(() => fromGguf(metadata({ model: 'rwkv' }))).toThrow(unsupported);
  });
});
