// What a folder's own files say beside tokenizer.model: spaces around added tokens, special tokens, templates.
import { describe, expect, test } from 'vitest';
import { fromSentencePiece, renderChat } from '../../../src/tokenizer/index.ts';
import { spmVariants } from './spmModels.ts';
import { spmFile } from './spmStrings.ts';

const spaces = JSON.parse(spmFile('llamaSpaces.json').toString('utf8')) as {
  added: Record<string, string>;
  settings: { config: Record<string, unknown>; cases: [string, number[]][] }[];
};
const model = spmVariants.bpe!();
const size = model.pieces.length;
const addedTokensDecoder = Object.fromEntries(
  Object.entries(spaces.added).map(([id, content]) => [id, { content, special: content.includes('|') }]),
);
const llama = (config: Record<string, unknown> = {}, map?: unknown) =>
  fromSentencePiece(model, { tokenizer_class: 'LlamaTokenizer', ...config }, map);

describe("spaces as in transformers' LlamaTokenizer", () => {
  test.each(spaces.settings)('$config', ({ config, cases }) => {
    const tokenizer = llama({ ...config, added_tokens_decoder: addedTokensDecoder });
    for (const [text, ids] of cases) expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
  });

  test('legacy is what holds when nothing is said', () => {
    const tokenizer = llama({ added_tokens_decoder: addedTokensDecoder });
    for (const [text, ids] of spaces.settings[0]!.cases) expect(tokenizer.encode(text)).toEqual(ids);
  });

  test('without a space in front none is taken away', () => {
    const tokenizer = llama({ add_prefix_space: false });
    expect(tokenizer.decode(tokenizer.encode(' Hello'))).toBe(' Hello');
    expect(llama().decode(llama().encode(' Hello'))).toBe(' Hello');
    expect(llama({ legacy: false }).decode([1, ...llama().encode('Hello')], { skipSpecial: true })).toBe('Hello');
  });
});

describe('special tokens', () => {
  test('a model alone: its own names, BOS in front', () => {
    expect(fromSentencePiece(model)).toMatchObject({ bosId: 1, eosId: 2, padId: 3, addBos: true, addEos: false });
    expect(fromSentencePiece(spmVariants.unigram!())).toMatchObject({ bosId: 1, eosId: 2, padId: undefined });
    expect(fromSentencePiece(model, {}, {}).encode('<s>x</s>', { addBos: true }).slice(0, 2)).toEqual([1, 1]);
  });

  test('names that differ from LLaMA are taken from the model', () => {
    const pieces = [...model.pieces];
    pieces[1] = '<bos>';
    pieces[2] = '<eos>';
    const gemma = { ...model, pieces, trainer: { ...model.trainer, bosPiece: '<bos>', eosPiece: '<eos>' } };
    expect(fromSentencePiece(gemma, { tokenizer_class: 'GemmaTokenizer' })).toMatchObject({
      bosId: 1,
      eosId: 2,
      addBos: true,
      repairs: [],
    });
    // Empty names, as files of early 2023 have them.
    const mended = fromSentencePiece(gemma, { bos_token: '', eos_token: '', tokenizer_class: 'LLaMATokenizer' });
    expect(mended).toMatchObject({ bosId: 1, eosId: 2 });
    expect(mended.repairs).toHaveLength(2);
  });

  test('the settings decide about BOS and EOS', () => {
    expect(llama({ add_bos_token: false, add_eos_token: true })).toMatchObject({ addBos: false, addEos: true });
    expect(llama({ bos_token: null })).toMatchObject({ bosId: undefined, addBos: false });
    expect(fromSentencePiece(model, { tokenizer_class: 'T5Tokenizer' }).addBos).toBe(false);
    expect(llama({}, { eos_token: { content: '<tool>' } })).toMatchObject({ eosId: model.pieces.indexOf('<tool>') });
  });

  test('added tokens and additional special tokens', () => {
    const tokenizer = llama({
      added_tokens_decoder: addedTokensDecoder,
      additional_special_tokens: ['<mark>', { content: '<tool>' }, '<|nowhere|>'],
    });
    const text = 'a<|im_end|><mark><tool>b';
    const ids = tokenizer.encode(text);
    expect(ids).toEqual(expect.arrayContaining([size, size + 1, model.pieces.indexOf('<tool>')]));
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe('a b');
    expect(tokenizer.eosIds).toEqual([2, size]);
    expect(tokenizer.vocabSize).toBe(size + 2);
    expect(tokenizer.repairs).toEqual([expect.stringContaining('<|nowhere|>')]);
  });

  test('an id that the vocabulary contradicts', () => {
    const tokenizer = llama({ added_tokens_decoder: { 1500: { content: '</s>', special: true } } });
    expect(tokenizer.encode('</s>')).toEqual([2]);
    expect(tokenizer.repairs).toEqual([expect.stringContaining('took 2')]);
  });

  test('spelled by a stranger they stay text', () => {
    const tokenizer = llama();
    const ids = tokenizer.encode('<s>x</s><unk>', { special: false });
    for (const id of [0, 1, 2]) expect(ids).not.toContain(id);
    expect(tokenizer.decode(ids)).toBe('<s>x</s><unk>');
    expect(tokenizer.encode('<s>x</s><unk>').filter((id) => id < 3)).toEqual([1, 2, 0]);
  });

  test('unknown characters show as such, or as the token on demand', () => {
    const tokenizer = fromSentencePiece(spmVariants.unigram!());
    const ids = tokenizer.encode('a 鑫鑫 b');
    expect(ids.filter((id) => id === 0)).toHaveLength(1);
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe('a  ⁇  b');
    expect(tokenizer.decode(ids)).toBe('a <unk> b');
    expect(tokenizer.bytes(0)).toBeUndefined();
  });
});

test('the chat template is found and works', () => {
  const tokenizer = llama({ chat_template: '{% for m in messages %}{{ bos_token }}{{ m.content }}{% endfor %}' });
  expect(renderChat(tokenizer, [{ role: 'user', content: 'Hi' }])).toBe('<s>Hi');
});

describe('refused', () => {
  const unsupported = expect.objectContaining({ code: 'TOKENIZER_UNSUPPORTED' });
  test.each(['word', 'char'] as const)('models of type %s', (modelType) => {
    const other = { ...model, trainer: { ...model.trainer, modelType } };
    expect(() => fromSentencePiece(other)).toThrow(unsupported);
    expect(() => fromSentencePiece(other)).toThrow(modelType.toUpperCase());
  });

  test('rules for decoded text', () => {
    expect(() => fromSentencePiece({ ...model, hasDenormalizer: true })).toThrow(unsupported);
  });

  test('added tokens without an id', () => {
    const bad = expect.objectContaining({ code: 'BAD_TOKENIZER' });
    expect(() => llama({ added_tokens_decoder: { x: { content: 'y' } } })).toThrow(bad);
  });

  const charsmaps: [string, (bytes: Uint8Array) => Uint8Array, string][] = [
    ['cut short', (bytes) => bytes.slice(0, 1000), 'are the trie'],
    ['three bytes', (bytes) => bytes.slice(0, 3), 'has 3 bytes'],
    ['without an end', (bytes) => bytes.slice(0, -1), 'zero byte'],
    ['a jump out of the trie', (bytes) => bytes.slice().fill(0x7f, 8 + 4 * 100, 8 + 4 * 110), 'broken trie'],
    ['no root', (bytes) => bytes.slice().fill(0, 4, 8), 'broken trie (unit 0)'],
  ];
  test.each(charsmaps)('replacement rules: %s', (_, damage, message) => {
    const unigram = spmVariants.unigram!();
    const precompiledCharsmap = damage(unigram.normalizer.precompiledCharsmap);
    const damaged = { ...unigram, normalizer: { ...unigram.normalizer, precompiledCharsmap } };
    expect(() => fromSentencePiece(damaged)).toThrow(expect.objectContaining({ code: 'BAD_TOKENIZER' }));
    expect(() => fromSentencePiece(damaged)).toThrow(message);
  });
});
