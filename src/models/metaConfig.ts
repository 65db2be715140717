// Meta's params.json as a configuration. It says less than config.json: the widths of the MLP and of the vocabulary come
// from the tensors, the length of the context from what is known of the models.
// Source: ModelArgs of https://github.com/meta-llama/llama and https://github.com/meta-llama/llama-models
import { HuacayaError } from '../base/index.ts';
import { configFromJson, type LlamaConfig } from './config.ts';

/** Sizes of the joined tensors. */
export interface MetaSizes {
  vocabSize: number;
  intermediateSize: number;
  /** No output.weight: the head is the embedding. */
  tiedHead: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (where: string, why: string) =>
  new HuacayaError('BAD_MODEL_CONFIG', `${where}: ${why}`, {
    hint: 'This should be the params.json that Meta ships beside consolidated.00.pth.',
  });

const number = (where: string, params: Json, key: string, otherwise?: number): number => {
  const value = params[key] ?? otherwise;
  if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) {
    throw bad(where, `${key} is ${JSON.stringify(value)}, not a number above 0`);
  }
  return value;
};

/** The numbers that shapes are checked against before the configuration is whole. */
export function metaParams(where: string, json: unknown): Json & { dim: number; n_heads: number } {
  const outer = isObject(json) ? json : undefined;
  // Some releases have the numbers one level down.
  const params = isObject(outer?.model) ? outer.model : outer;
  if (!params) throw bad(where, 'is not a JSON object');
  for (const key of ['moe_args', 'vision_chunk_size', 'quantization_args', 'lora_args', 'moe']) {
    if (params[key] !== undefined && params[key] !== null) throw bad(where, `${key} is not supported`);
  }
  return { ...params, dim: number(where, params, 'dim'), n_heads: number(where, params, 'n_heads') };
}

/**
 * @param where path of params.json. @param repairs gets a sentence for each number that was not in it.
 * @throws HuacayaError BAD_MODEL_CONFIG.
 */
export function configFromMeta(where: string, json: unknown, sizes: MetaSizes, repairs: string[]): LlamaConfig {
  const params = metaParams(where, json);
  const { dim } = params;
  const theta = number(where, params, 'rope_theta', 10000);
  const declared = params.vocab_size;
  if (typeof declared === 'number' && declared > 0 && declared !== sizes.vocabSize) {
    throw bad(where, `vocab_size is ${declared}, but the embedding has ${sizes.vocabSize} rows`);
  }
  if (declared !== sizes.vocabSize) {
    const said = declared === undefined ? 'missing' : JSON.stringify(declared);
    repairs.push(`params.json: vocab_size is ${said}: took ${sizes.vocabSize}, the rows of the embedding`);
  }
  const computed = intermediateSize(where, params);
  if (computed !== sizes.intermediateSize) {
    repairs.push(
      `params.json: multiple_of and ffn_dim_multiplier give an MLP of ${computed}: took ${sizes.intermediateSize}, the rows of w1`,
    );
  }
  const scaling = ropeScaling(where, params);
  const length = typeof params.max_seq_len === 'number' ? params.max_seq_len : contextLength(params, theta);
  if (length !== params.max_seq_len) repairs.push(`params.json: has no length of the context: took ${length} tokens`);
  return configFromJson(where, {
    model_type: 'llama',
    hidden_size: dim,
    intermediate_size: sizes.intermediateSize,
    num_hidden_layers: params.n_layers,
    num_attention_heads: params.n_heads,
    num_key_value_heads: params.n_kv_heads,
    head_dim: params.head_dim,
    vocab_size: sizes.vocabSize,
    rms_norm_eps: params.norm_eps ?? 1e-5,
    rope_theta: theta,
    ...(scaling ? { rope_scaling: scaling } : {}),
    max_position_embeddings: length,
    tie_word_embeddings: sizes.tiedHead,
  });
}

/** FeedForward of Meta's model.py: two thirds of 4 dim, times a factor, rounded up. */
function intermediateSize(where: string, params: Json & { dim: number }): number {
  const multiple = number(where, params, 'multiple_of', 256);
  const hidden = Math.trunc(number(where, params, 'ffn_dim_multiplier', 1) * Math.trunc((8 * params.dim) / 3));
  return multiple * Math.ceil(hidden / multiple);
}

/** Llama 3.1 and 3.2 say only that there is scaling: the factor is 8, in the two small models of 3.2 it is 32. */
function ropeScaling(where: string, params: Json & { dim: number }) {
  if (params.use_scaled_rope !== true) return undefined;
  return {
    rope_type: 'llama3',
    factor: number(where, params, 'rope_scaling_factor', params.dim < 4096 ? 32 : 8),
    low_freq_factor: 1,
    high_freq_factor: number(where, params, 'rope_high_freq_factor', 4),
    original_max_position_embeddings: 8192,
  };
}

/**
 * The context that a model was trained with; where two share their numbers, the shorter. LLaMA 1 has norm_eps 1e-6, but
 * for its 65B, which has no n_kv_heads as Llama 2's 70B has; Code Llama has a base of a million.
 */
function contextLength(params: Json & { dim: number }, theta: number): number {
  if (params.use_scaled_rope === true) return 131072;
  if (theta > 500_000) return 16384;
  if (theta > 10_000) return 8192;
  const first = Number(params.norm_eps) < 1e-5 || (params.dim === 8192 && params.n_kv_heads === undefined);
  return first ? 2048 : 4096;
}
