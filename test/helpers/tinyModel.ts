// A LLaMA with random weights, small enough for a test: its tensors for the reference, and as a folder of the Hugging
// Face hub for everything that opens models.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRng } from '../../src/base/index.ts';
import { encodeSafetensors } from '../../src/formats/index.ts';
import { tinyTokenizerConfig, tinyTokenizerJson, tinyVocabSize } from './tinyTokenizer.ts';

/** The numbers of config.json, by their names there. */
export interface TinyConfig {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  vocab_size: number;
  rms_norm_eps: number;
  rope_theta: number;
  rope_scaling: null | {
    rope_type: 'llama3';
    factor: number;
    low_freq_factor: number;
    high_freq_factor: number;
    original_max_position_embeddings: number;
  };
  max_position_embeddings: number;
  tie_word_embeddings: boolean;
}

export interface TinyTensor {
  shape: number[];
  data: Float32Array<ArrayBuffer>;
}

export interface TinyModel {
  config: TinyConfig;
  /** By their names in the checkpoint, e.g. 'model.layers.0.mlp.up_proj.weight'. */
  tensors: Map<string, TinyTensor>;
}

const base: TinyConfig = {
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  vocab_size: tinyVocabSize,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: null,
  max_position_embeddings: 512,
  tie_word_embeddings: true,
};

/** Every size differs from every other in `untied`, so that a swapped axis cannot go unnoticed. */
export const tinyConfigs = {
  tied: base,
  untied: {
    ...base,
    hidden_size: 48,
    intermediate_size: 160,
    num_hidden_layers: 3,
    num_attention_heads: 6,
    num_key_value_heads: 2,
    tie_word_embeddings: false,
  },
  llama3: {
    ...base,
    num_key_value_heads: 4,
    rope_theta: 500,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    },
  },
} satisfies Record<string, TinyConfig>;

/** Weights with the gain of a trained model: logits spread over a few nats, and every part of a layer matters. */
export function tinyModel(config: TinyConfig = tinyConfigs.tied, seed = 1): TinyModel {
  const rng = createRng(seed);
  const tensors = new Map<string, TinyTensor>();
  const put = (name: string, shape: number[], spread: number, centre = 0) => {
    const stream = rng.fork(name);
    const length = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length }, () => centre + spread * (2 * stream.uniform() - 1));
    tensors.set(name, { shape, data });
  };
  const c = config;
  const matrix = (name: string, out: number, inner: number) => put(name, [out, inner], Math.sqrt(3 / inner));
  put('model.embed_tokens.weight', [c.vocab_size, c.hidden_size], 0.5);
  for (let layer = 0; layer < c.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}.`;
    put(`${at}input_layernorm.weight`, [c.hidden_size], 0.5, 1);
    put(`${at}post_attention_layernorm.weight`, [c.hidden_size], 0.5, 1);
    matrix(`${at}self_attn.q_proj.weight`, c.num_attention_heads * c.head_dim, c.hidden_size);
    matrix(`${at}self_attn.k_proj.weight`, c.num_key_value_heads * c.head_dim, c.hidden_size);
    matrix(`${at}self_attn.v_proj.weight`, c.num_key_value_heads * c.head_dim, c.hidden_size);
    matrix(`${at}self_attn.o_proj.weight`, c.hidden_size, c.num_attention_heads * c.head_dim);
    matrix(`${at}mlp.gate_proj.weight`, c.intermediate_size, c.hidden_size);
    matrix(`${at}mlp.up_proj.weight`, c.intermediate_size, c.hidden_size);
    matrix(`${at}mlp.down_proj.weight`, c.hidden_size, c.intermediate_size);
  }
  put('model.norm.weight', [c.hidden_size], 0.5, 1);
  if (!c.tie_word_embeddings) put('lm_head.weight', [c.vocab_size, c.hidden_size], 0.5);
  return { config, tensors };
}

/** A folder for one test file; `remove` in afterAll. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'huacaya-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

const encode = (tensors: ReadonlyMap<string, TinyTensor>) =>
  encodeSafetensors(
    [...tensors].map(([name, { shape, data }]) => ({ name, dtype: 'F32' as const, shape, data })),
    { format: 'pt' },
  );

export interface WriteOptions {
  /** So many safetensors files with an index instead of one. */
  shards?: number;
}

/** Writes config.json, the weights and the tokenizer; returns the folder. */
export function writeTinyModel(folder: string, model: TinyModel, options: WriteOptions = {}): string {
  mkdirSync(folder, { recursive: true });
  const json = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  json('config.json', {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    ...model.config,
  });
  json('tokenizer.json', tinyTokenizerJson());
  json('tokenizer_config.json', tinyTokenizerConfig());
  const { shards = 1 } = options;
  if (shards === 1) {
    writeFileSync(join(folder, 'model.safetensors'), encode(model.tensors));
    return folder;
  }
  const names = [...model.tensors.keys()];
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-${shard + 1}-of-${shards}.safetensors`;
    const own = names.filter((_, i) => i % shards === shard);
    for (const name of own) weightMap[name] = file;
    writeFileSync(join(folder, file), encode(new Map(own.map((name) => [name, model.tensors.get(name)!]))));
  }
  json('model.safetensors.index.json', { metadata: {}, weight_map: weightMap });
  return folder;
}
