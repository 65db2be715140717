// Folders as they were in early 2023: which ids are believed, and that every mended one is told.
import { describe, expect, it } from 'vitest';
import { fromTokenizerJson, mendTokens, withAddedTokens } from '../../../src/tokenizer/index.ts';

const json = {
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { '<unk>': 0, '<s>': 1, '</s>': 2, a: 3 }, merges: [] },
};

// decapoda-research/llama-7b-hf.
const decapoda = {
  config: {
    architectures: ['LLaMAForCausalLM'],
    model_type: 'llama',
    bos_token_id: 0,
    eos_token_id: 1,
    pad_token_id: -1,
  },
  generation: { _from_model_config: true, bos_token_id: 0, eos_token_id: 1, pad_token_id: 0 },
  tokenizer: {
    bos_token: '',
    eos_token: '',
    model_max_length: 1e30,
    tokenizer_class: 'LLaMATokenizer',
    unk_token: '',
  },
};

describe('ids of config.json and generation_config.json', () => {
  it('are not believed in decapoda-research/llama-7b-hf', () => {
    const read = fromTokenizerJson(json, decapoda.tokenizer, {});
    const mended = mendTokens(read, decapoda);
    expect(mended).toMatchObject({ bosId: 1, eosId: 2, eosIds: [2], addBos: true, padId: undefined });
    expect(mended.repairs).toEqual([
      'bos_token is "", which is not in the vocabulary: took "<s>" (id 1)',
      'eos_token is "", which is not in the vocabulary: took "</s>" (id 2)',
      'unk_token is "", which is not in the vocabulary: took "<unk>" (id 0)',
      'config.json: bos_token_id is 0, which is "<unk>": took 1',
      'config.json: pad_token_id is -1, which is no token: ignored',
      'config.json: eos_token_id is 1, which is "<s>", the begin: took 2',
      'generation_config.json: bos_token_id is 0, which is "<unk>": took 1',
      'generation_config.json: eos_token_id is 1, which is "<s>", the begin: took 2',
    ]);
  });

  it('add every end of a reply that the generation config lists', () => {
    const tokenizer = mendTokens(fromTokenizerJson(json), { generation: { eos_token_id: [2, 3, 99] } });
    expect(tokenizer.eosIds).toEqual([2, 3]);
    expect(tokenizer.repairs).toEqual(['generation_config.json: eos_token_id is 99, which is no token: took 2']);
  });

  it('say nothing where they are right, null or not there', () => {
    const files = { config: { bos_token_id: 1, eos_token_id: 2, pad_token_id: null }, generation: undefined };
    expect(mendTokens(fromTokenizerJson(json), files)).toMatchObject({ eosIds: [2], repairs: [] });
    expect(mendTokens(fromTokenizerJson(json), {}).repairs).toEqual([]);
  });
});

describe('added_tokens.json', () => {
  it('gives a token that tokenizer.json lacks, where the model has a row for it', () => {
    const config = withAddedTokens({ pad_token: '[PAD]' }, { '[PAD]': 4 }, 5, []);
    expect(fromTokenizerJson(json, config)).toMatchObject({ padId: 4, vocabSize: 5 });
  });

  it('is not followed past the rows of the model', () => {
    const repairs: string[] = [];
    const config = withAddedTokens({}, { '[PAD]': 32000, x: -1 }, 32000, repairs);
    expect(config.added_tokens_decoder).toEqual({});
    expect(repairs).toEqual([
      'added_tokens.json gives "[PAD]" the id 32000, but the model has 32000 rows: left it out',
      'added_tokens.json gives "x" the id -1, but the model has 32000 rows: left it out',
    ]);
  });
});

it.each(['', ' \n'])('a chat template of %j is none', (chat_template) => {
  expect(fromTokenizerJson(json, { chat_template }).chatTemplate).toBeUndefined();
});
