import { describe, expect, test } from 'vitest';
import { fromTokenizerJson } from '../../../src/tokenizer/index.ts';
import { byteLevelJson, sentencePieceJson } from './smallTokenizers.ts';

const json = sentencePieceJson('legacy');
const bytes = byteLevelJson('gpt-2');
const idIn = (tokenizer: { tokenText(id: number): string; vocabSize: number }, text: string) =>
  Array.from({ length: tokenizer.vocabSize }, (_, id) => id).find((id) => tokenizer.tokenText(id) === text);

describe('special tokens', () => {
  test('come from the config, as text or as object', () => {
    const config = {
      tokenizer_class: 'X',
      bos_token: '<|begin|>',
      eos_token: { content: '<|end|>' },
      pad_token: '<pad>',
    };
    const tokenizer = fromTokenizerJson(bytes, config);
    expect(tokenizer.bosId).toBe(idIn(tokenizer, '<|begin|>'));
    expect(tokenizer.eosId).toBe(idIn(tokenizer, '<|end|>'));
    expect(tokenizer.padId).toBe(idIn(tokenizer, '<pad>'));
    expect(tokenizer.repairs).toEqual([]);
  });

  test('come from special_tokens_map.json where the config is silent; null means none', () => {
    const map = { bos_token: '<|begin|>', eos_token: '<|end|>' };
    const tokenizer = fromTokenizerJson(bytes, { tokenizer_class: 'X', bos_token: null }, map);
    expect(tokenizer.bosId).toBeUndefined();
    expect(tokenizer.eosId).toBe(idIn(tokenizer, '<|end|>'));
    expect(tokenizer.padId).toBeUndefined();
  });

  test('are mended in the repositories of 2023 that left them empty', () => {
    const config = { tokenizer_class: 'LLaMATokenizer', bos_token: '', eos_token: '', unk_token: '' };
    const tokenizer = fromTokenizerJson(json, config, {});
    expect(tokenizer).toMatchObject({ bosId: 1, eosId: 2, addBos: true, eosIds: [2] });
    expect(tokenizer.repairs).toHaveLength(3);
    expect(tokenizer.repairs[0]).toBe('bos_token is "", which is not in the vocabulary: took "<s>" (id 1)');
  });

  test('that are nowhere in the vocabulary are left out and reported', () => {
    const tokenizer = fromTokenizerJson(bytes, { tokenizer_class: 'X', bos_token: '<bos>', pad_token: '[PAD]' });
    expect(tokenizer.bosId).toBeUndefined();
    expect(tokenizer.padId).toBeUndefined();
    expect(tokenizer.repairs.join('\n')).toMatch(
      /bos_token is "<bos>".*left it out\npad_token is "\[PAD\]".*left it out/,
    );
  });

  test("are LLaMA's own when nothing is said", () => {
    expect(fromTokenizerJson(json)).toMatchObject({ bosId: 1, eosId: 2, repairs: [] });
    expect(fromTokenizerJson(json, { tokenizer_class: 'Other' }).bosId).toBeUndefined();
  });

  test('are special even if the file forgot to say so', () => {
    const { added_tokens, ...rest } = bytes as Record<string, unknown>;
    const tokenizer = fromTokenizerJson({ ...rest, added_tokens: [] }, { tokenizer_class: 'X', eos_token: 'Ġthe' });
    const ids = tokenizer.encode('a the');
    expect(added_tokens).toBeDefined();
    expect(tokenizer.eosId).toBeDefined();
    expect(ids).not.toContain(tokenizer.eosId);
    expect(tokenizer.decode([tokenizer.eosId!], { skipSpecial: true })).toBe('');
  });

  test('of added_tokens_decoder are added, and win', () => {
    const id = bytes.model.merges.length + 600;
    const entry = (content: string, special: boolean) => ({ content, special, normalized: false });
    const mark = fromTokenizerJson(bytes).encode('<mark>')[0]!;
    const tokenizer = fromTokenizerJson(bytes, {
      added_tokens_decoder: { [id]: entry('<extra>', true), [mark]: entry('<mark>', true) },
    });
    expect(tokenizer.encode('the<extra>').at(-1)).toBe(id);
    expect(tokenizer.vocabSize).toBe(id + 1);
    expect(tokenizer.decode([mark], { skipSpecial: true })).toBe('');
  });

  test('with two ids keep the one of the vocabulary', () => {
    const added_tokens = [{ content: 'Ġthe', id: 5, special: false, normalized: false }];
    const tokenizer = fromTokenizerJson({ ...bytes, added_tokens }, { tokenizer_class: 'X' });
    expect(tokenizer.tokenText(5)).not.toBe('Ġthe');
    expect(tokenizer.repairs).toHaveLength(1);
    expect(tokenizer.repairs[0]).toContain('"Ġthe" has the id 5');
  });
});

describe('BOS and EOS around a text', () => {
  const template = (...ids: string[]) => ({
    type: 'TemplateProcessing',
    single: ids.map((id) => (id === 'A' ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } })),
  });
  const ask = (post_processor: unknown, config: object) => {
    const { addBos, addEos } = fromTokenizerJson({ ...json, post_processor }, config);
    return [addBos, addEos];
  };

  test('are read from the post-processor', () => {
    expect(ask(template('<s>', 'A'), {})).toEqual([true, false]);
    expect(ask(template('<s>', 'A', '</s>'), {})).toEqual([true, true]);
    expect(ask(template('A'), { tokenizer_class: 'LlamaTokenizer' })).toEqual([false, false]);
    const sequence = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template('<s>', 'A')] };
    expect(ask(sequence, {})).toEqual([true, false]);
  });

  test('the config has the last word', () => {
    expect(ask(template('<s>', 'A'), { add_bos_token: false, add_eos_token: true })).toEqual([false, true]);
  });

  test("LLaMA's class adds BOS by itself", () => {
    expect(ask(null, { tokenizer_class: 'LlamaTokenizerFast' })).toEqual([true, false]);
    expect(ask(null, { tokenizer_class: 'GPT2Tokenizer', bos_token: '<s>' })).toEqual([false, false]);
  });
});

describe('chat template', () => {
  const chatTemplate = (chat_template: unknown) => fromTokenizerJson(json, { chat_template }).chatTemplate;

  test('is a text, or the default one of a list', () => {
    expect(chatTemplate('x')).toBe('x');
    const list = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'plain' },
    ];
    expect(chatTemplate(list)).toBe('plain');
    expect(chatTemplate(list.slice(0, 1))).toBe('tools');
    expect(chatTemplate(undefined)).toBeUndefined();
    expect(chatTemplate([])).toBeUndefined();
    expect(() => chatTemplate(7)).toThrow(expect.objectContaining({ code: 'TOKENIZER_UNSUPPORTED' }));
  });
});

describe('files that are refused', () => {
  const withModel = (changes: object) => ({ ...bytes, model: { ...bytes.model, ...changes } });
  const cases: [string, unknown, string][] = [
    ['no object', [], 'is not a JSON object'],
    ['no model', { ...bytes, model: null }, 'has no model'],
    ['an id that is none', withModel({ vocab: { a: -1 } }), 'token "a" has the id -1'],
    ['an absurd id', withModel({ vocab: { a: 2 ** 40 } }), 'token "a" has the id'],
    ['an empty vocabulary', { ...bytes, added_tokens: [], model: { type: 'BPE', vocab: {}, merges: [] } }, 'is empty'],
    ['merges that are no list', withModel({ merges: 'a b' }), 'model.merges is not a list'],
    ['a merge of one token', withModel({ merges: ['ab'] }), 'merge 0 is "ab"'],
    ['a merge of unknown tokens', withModel({ merges: ['a b', 'q w'] }), 'needs the token "ab"'],
    ['an added token without id', { ...bytes, added_tokens: [{ content: 'x' }] }, 'needs a content and an id'],
  ];
  test.each(cases)('%s', (_, file, message) => {
    expect(() => fromTokenizerJson(file)).toThrow(expect.objectContaining({ code: 'BAD_TOKENIZER' }));
    expect(() => fromTokenizerJson(file)).toThrow(message);
  });

  const split = (rest: object) => ({ type: 'Split', pattern: { Regex: 'a' }, ...rest });
  const unknown: [string, object, string][] = [
    ['another model', withModel({ type: 'Unigram' }), '"Unigram"'],
    ['word endings', withModel({ end_of_word_suffix: '</w>' }), 'end_of_word_suffix'],
    ['a normalizer', { ...bytes, normalizer: { type: 'BertNormalizer' } }, '"BertNormalizer"'],
    ['a normalizer without pattern', { ...bytes, normalizer: { type: 'Replace', content: '' } }, 'Replace'],
    ['a pre-tokenizer', { ...bytes, pre_tokenizer: { type: 'BertPreTokenizer' } }, '"BertPreTokenizer"'],
    ['a split behavior', { ...bytes, pre_tokenizer: split({ behavior: 'MergedWithNext' }) }, '"MergedWithNext"'],
    ['a broken pattern', { ...bytes, pre_tokenizer: split({ pattern: { Regex: '(' }, behavior: 'Isolated' }) }, '('],
    ['a decoder', { ...bytes, decoder: { type: 'WordPiece' } }, '"WordPiece"'],
    ['no decoder', { ...bytes, decoder: null }, 'no decoder'],
  ];
  test.each(unknown)('unknown: %s', (_, file, message) => {
    expect(() => fromTokenizerJson(file)).toThrow(expect.objectContaining({ code: 'TOKENIZER_UNSUPPORTED' }));
    expect(() => fromTokenizerJson(file)).toThrow(message);
  });
});

test('Split can remove what it matches, or all else', () => {
  const run = (pre_tokenizer: object) => {
    const tokenizer = fromTokenizerJson({
      ...bytes,
      pre_tokenizer: { type: 'Sequence', pretokenizers: [pre_tokenizer, { type: 'ByteLevel', use_regex: false }] },
    });
    return tokenizer.decode(tokenizer.encode('the-12-world'));
  };
  expect(run({ type: 'Split', pattern: { String: '-' }, behavior: 'Removed', invert: false })).toBe('the12world');
  expect(run({ type: 'Split', pattern: { Regex: '\\d' }, behavior: 'Removed', invert: true })).toBe('12');
  expect(run({ type: 'Split', pattern: { String: '-' }, behavior: 'Isolated', invert: false })).toBe('the-12-world');
});

test("Split can leave a delimiter with the piece before it, as in Gemma's files", () => {
  const tokens = ['a', 'b', '-', '-b', '--', 'a-'];
  const model = { type: 'BPE', vocab: Object.fromEntries(tokens.map((t, i) => [t, i])), merges: ['- b', '- -', 'a -'] };
  const run = (text: string, invert: boolean) => {
    const pre_tokenizer = { type: 'Split', pattern: { String: '-' }, behavior: 'MergedWithPrevious', invert };
    const tokenizer = fromTokenizerJson({ ...bytes, added_tokens: [], model, normalizer: null, pre_tokenizer });
    return tokenizer.encode(text).map((id) => tokenizer.tokenText(id));
  };
  // What Python's tokenizers cuts these into, a token each.
  expect(run('a-b', false)).toEqual(['a-', 'b']);
  expect(run('-a--b', false)).toEqual(['-', 'a-', '-', 'b']);
  expect(run('a--b', true)).toEqual(['a', '-', '-b']);
});

test('names like __proto__ are tokens like any other', () => {
  const vocab = JSON.parse('{"__proto__": 0, "constructor": 1, "_": 2, "p": 3}');
  const tokenizer = fromTokenizerJson({ ...bytes, added_tokens: [], model: { type: 'BPE', vocab, merges: [] } });
  expect(tokenizer.tokenText(0)).toBe('__proto__');
  expect(tokenizer.encode('_p')).toEqual([2, 3]);
});
