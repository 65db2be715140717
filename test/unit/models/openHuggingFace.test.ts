// Hugging Face folders as they were saved from 2023 on: safetensors or PyTorch, whole or in shards, under other names.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/models/node.ts';
import { tinyTokenizerConfig, tinyTokenizerJson } from '../../helpers/tinyTokenizer.ts';
import { expectSameWeights, renamedWeights, tokenizer, truth, workFolder } from './checkpointFolders.ts';

const work = workFolder();
afterAll(() => work.remove());

const architectures = join(import.meta.dirname, '../../fixtures/architectures');

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  vocab_size: 40,
};

/** A folder with the small model's weights under other names. */
const saved = async (
  rename: (name: string) => string | undefined,
  changes: object = {},
  extra: readonly string[] = [],
) =>
  work.folder({
    ...tokenizer(),
    'config.json': { ...config, ...changes },
    'model.safetensors': await renamedWeights('small-hf', rename, extra),
  });

describe('PyTorch files', () => {
  it('of decapoda-research: three shards, names of 2023, buffers among the weights', async () => {
    const path = work.copy('decapoda', {
      ...tokenizer(),
      'tokenizer_config.json': { bos_token: '', eos_token: '', unk_token: '', tokenizer_class: 'LLaMATokenizer' },
    });
    const model = await openCheckpoint(path);
    await expectSameWeights(model, await truth('small-hf'));
    await model.weights.close();
    // inv_freq would be an F32 here.
    expect(model.storedAs).toEqual(['F16']);
    expect(model.config.maxPositions).toBe(1024);
    expect(model.files.map((f) => basename(f))).toEqual([
      'config.json',
      'pytorch_model.bin.index.json',
      'pytorch_model-00001-of-00003.bin',
      'pytorch_model-00002-of-00003.bin',
      'pytorch_model-00003-of-00003.bin',
    ]);
    expect(model.repairs).toEqual([
      'config.json: the class LLaMAForCausalLM is LlamaForCausalLM today',
      'config.json: took max_sequence_length (1024) for max_position_embeddings',
      'tokenizer_config.json: the class LLaMATokenizer is LlamaTokenizer today',
      ...model.tokenizer.repairs,
    ]);
    expect(model.tokenizer.repairs.join()).toMatch(/pad_token_id is -1/);
  });

  it('of decapoda-research with nothing but tokenizer.model, and ids that are wrong', async () => {
    const path = work.copy('decapoda', {
      ...tokenizer(),
      'tokenizer_config.json': { bos_token: '', eos_token: '', unk_token: '', tokenizer_class: 'LLaMATokenizer' },
    });
    const { tokenizer: tokens, repairs, weights } = await openCheckpoint(path);
    await weights.close();
    expect([tokens.bosId, tokens.eosId, tokens.eosIds]).toEqual([1, 2, [2]]);
    expect(tokens.encode('ab')).toEqual([3, 4]);
    expect(repairs.join('\n')).toMatch(/bos_token_id is 0, which is "<unk>": took 1/);
    expect(repairs.join('\n')).toMatch(/eos_token_id is 1, which is "<s>", the begin: took 2/);
  });

  it('in float64 under the names of DistributedDataParallel', async () => {
    const model = await openCheckpoint(work.copy('doubles'));
    await expectSameWeights(model, await truth('small-hf'));
    await model.weights.close();
    expect(model.storedAs).toEqual(['F64']);
    expect(model.repairs).toContain('weights: the names begin with module.: left it out');
  });

  it('are left alone where there are safetensors', async () => {
    const path = work.copy('small-hf');
    writeFileSync(join(path, 'pytorch_model.bin'), 'no such file');
    const model = await openCheckpoint(path);
    await model.weights.close();
    expect(model.files.map((f) => basename(f))).toEqual(['config.json', 'model.safetensors']);
    expect(model.repairs).toEqual([]);
  });

  it('that are missing are named', async () => {
    const path = work.copy('decapoda');
    for (const n of [1, 3]) rmSync(join(path, `pytorch_model-0000${n}-of-00003.bin`));
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'MISSING_SHARD',
      message: `${path}: 2 of 3 weight files are missing: pytorch_model-00001-of-00003.bin, pytorch_model-00003-of-00003.bin`,
    });
  });

  it('whose index is damaged say so', async () => {
    const path = work.copy('decapoda');
    writeFileSync(join(path, 'pytorch_model.bin.index.json'), '{"weight_map":{"a":"../b"}}');
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'BAD_SHARD_INDEX',
      message: expect.stringContaining('not a plain file name'),
    });
  });
});

describe('names of tensors', () => {
  it.each<[string, (name: string) => string, string[]]>([
    ['PEFT', (name) => `base_model.model.${name}`, ['weights: the names begin with base_model.model.: left it out']],
    ['torch.compile', (name) => `_orig_mod.${name}`, ['weights: the names begin with _orig_mod.: left it out']],
    [
      'PEFT with adapters on',
      (name) => `base_model.model.${name}`.replace(/([qv]_proj)\.weight/, '$1.base_layer.weight'),
      ['weights: the names begin with base_model.model.: left it out'],
    ],
    [
      'the model without its head class',
      (name) => name.replace(/^model\./, ''),
      ['weights: the names lack model. at the start: put it there'],
    ],
    [
      'a model that also sees',
      (name) => name.replace(/^model\./, 'model.language_model.'),
      ['weights: took the part that reads and writes text; the parts for images are not in use'],
    ],
    [
      'such a model of early 2025',
      (name) => `language_model.${name}`,
      ['weights: took the part that reads and writes text; the parts for images are not in use'],
    ],
    [
      'both',
      (name) => `module.${name.replace(/^model\./, '')}`,
      [
        'weights: the names begin with module.: left it out',
        'weights: the names lack model. at the start: put it there',
      ],
    ],
  ])('as of %s are understood', async (_, rename, repairs) => {
    const model = await openCheckpoint(await saved(rename));
    await expectSameWeights(model, await truth('small-hf'));
    await model.weights.close();
    expect(model.repairs).toEqual(repairs);
  });

  it('of an adapter among them are left out, and that is said', async () => {
    const lora = ['A', 'B'].map((m) => `base_model.model.model.layers.0.self_attn.q_proj.lora_${m}.weight`);
    const model = await openCheckpoint(await saved((name) => `base_model.model.${name}`, {}, lora));
    await expectSameWeights(model, await truth('small-hf'));
    await model.weights.close();
    expect(model.repairs[1]).toMatch(/^weights: 2 tensors of a LoRA adapter/);
  });

  it('that nobody knows are not guessed at', async () => {
    await expect(openCheckpoint(await saved((name) => `transformer.${name}`))).rejects.toMatchObject({
      code: 'MISSING_TENSOR',
      message: expect.stringContaining('has no tensor model.embed_tokens.weight'),
    });
  });

  it('that mean one weight twice are refused', async () => {
    const path = await saved((name) => `module.${name}`, {}, ['model.norm.weight']);
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'BAD_CHECKPOINT',
      message: expect.stringMatching(/both (module\.)?model\.norm\.weight and (module\.)?model\.norm\.weight/),
    });
  });
});

describe('a tied head', () => {
  const tied = { tie_word_embeddings: true };

  it('may be missing', async () => {
    const model = await openCheckpoint(await saved((name) => (name === 'lm_head.weight' ? undefined : name), tied));
    const { weights } = await truth('small-hf');
    expect(await model.weights.read({ kind: 'head' }, [1, 3])).toEqual(
      await weights.read({ kind: 'embedding' }, [1, 3]),
    );
    expect(model.repairs).toEqual([]);
    await model.weights.close();
  });

  it('that is there all the same, and other, gives way to the embedding', async () => {
    const model = await openCheckpoint(await saved((name) => name, tied));
    const { weights } = await truth('small-hf');
    expect(await model.weights.read({ kind: 'head' })).toEqual(await weights.read({ kind: 'embedding' }));
    expect(model.repairs).toEqual([
      'weights: lm_head.weight is not the embedding, but config.json ties them: took the embedding',
    ]);
    await model.weights.close();
  });

  it('is missed where the configuration does not tie it', async () => {
    const path = await saved((name) => (name === 'lm_head.weight' ? undefined : name));
    await expect(openCheckpoint(path)).rejects.toMatchObject({ code: 'MISSING_TENSOR' });
  });
});

it('says which tensors of layers nobody asks for', async () => {
  const extra = ['k', 'q'].map((m) => `model.layers.1.self_attn.${m}_proj.bias`);
  const model = await openCheckpoint(await saved((name) => name, {}, extra));
  await model.weights.close();
  expect(model.repairs).toEqual([
    `weights: 2 tensors of layers are not in use, such as ${extra[0]}: does config.json belong to them?`,
  ]);
  const short = await openCheckpoint(await saved((name) => name, { num_hidden_layers: 1 }));
  await short.weights.close();
  expect(short.repairs[0]).toMatch(/^weights: 9 tensors of layers/);
});

it('finds nothing to say about files of transformers, of any architecture', async () => {
  for (const name of readdirSync(architectures).filter((entry) => !entry.includes('.'))) {
    const files = ['config.json', 'model.safetensors'].map((f) => [
      f,
      new Uint8Array(readFileSync(join(architectures, name, f))),
    ]);
    const model = await openCheckpoint(work.folder({ ...tokenizer(), ...Object.fromEntries(files) }));
    await model.weights.close();
    expect({ name, said: model.repairs.filter((r) => r.startsWith('weights')) }).toEqual({ name, said: [] });
  }
});

describe('a configuration of 2023', () => {
  it('without model_type is known by its class', async () => {
    const path = await saved((name) => name, { model_type: undefined, architectures: ['LLaMAForCausalLM'] });
    const model = await openCheckpoint(path);
    await model.weights.close();
    expect(model.repairs).toContain('config.json: has no model_type: took llama from the name of the class');
  });
});

describe('the tokenizer', () => {
  it('is tokenizer.json rather than tokenizer.model, with its configuration', async () => {
    const both = { 'tokenizer.json': tinyTokenizerJson(), 'tokenizer_config.json': tinyTokenizerConfig() };
    const model = await openCheckpoint(work.copy('small-hf', { ...tokenizer(), ...both }));
    await model.weights.close();
    expect(model.tokenizer.tokenText(model.tokenizer.eosId!)).toBe('<|im_end|>');
    expect(model.repairs).toEqual([
      'the tokenizer has 300 tokens, the model rows for 40: do they belong together?',
      ...model.tokenizer.repairs,
    ]);
  });

  it('is missed by name', async () => {
    await expect(openCheckpoint(work.copy('small-hf', {}))).rejects.toMatchObject({
      code: 'NO_TOKENIZER',
      message: expect.stringContaining('neither tokenizer.json nor tokenizer.model'),
    });
  });
});

describe('a path', () => {
  it('of one file of a model: its folder is the model', async () => {
    const path = await saved((name) => name);
    await expect(openCheckpoint(join(path, 'model.safetensors'))).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      hint: `Name the folder: ${path}`,
    });
  });

  it('of a GGML file: what it is, and what to do', async () => {
    const path = join(work.folder({ 'ggml-model-q4_0.bin': 'tjgg\u0003...' }), 'ggml-model-q4_0.bin');
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'UNSUPPORTED_FORMAT',
      hint: expect.stringContaining('convert_llama_ggml_to_gguf.py'),
    });
  });

  it('of a folder without weights: what is there instead', async () => {
    const path = work.folder({ ...tokenizer(), 'config.json': config, 'tf_model.h5': 'x' });
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'NO_WEIGHTS',
      message: expect.stringContaining('there are tf_model.h5'),
    });
  });

  it.each<[string, string, RegExp]>([
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 13476\n', /Git LFS pointer/],
    ['a page', '<!DOCTYPE html><html></html>', /web page/],
    ['nothing', '', /is empty/],
  ])('of a folder with %s for weights: says what it is', async (_, text, message) => {
    for (const name of ['model.safetensors', 'pytorch_model.bin']) {
      const path = work.folder({ ...tokenizer(), 'config.json': config, [name]: text });
      await expect(openCheckpoint(path)).rejects.toMatchObject({
        code: 'NOT_WEIGHTS',
        message: expect.stringMatching(message),
      });
    }
  });

  it('of an adapter: says so', async () => {
    await expect(openCheckpoint(work.copy('adapter-bin', {}))).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      hint: expect.stringContaining('adapter'),
    });
  });
});
