// What a LLaMA-family model is made of, read from Hugging Face's config.json or from GGUF metadata.
import { HuacayaError } from '../base/index.ts';

/** Frequency scaling of rotary embeddings; names as in config.json's rope_scaling. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositions: number };

export interface LlamaConfig {
  /** Width of the residual stream. */
  hiddenSize: number;
  /** Width of the SwiGLU block. */
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Key and value heads; a divisor of `heads` (grouped-query attention). */
  kvHeads: number;
  headDim: number;
  vocabSize: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling?: RopeScaling;
  /** Longest sequence that the model was made for. */
  maxPositions: number;
  /** The output head is the embedding. */
  tiedHead: boolean;
}

const bad = (where: string, detail: string) =>
  new HuacayaError('BAD_MODEL_CONFIG', `${where}: ${detail}`, {
    hint: 'Huacaya runs LLaMA-architecture models (RMSNorm, rotary positions, SwiGLU, no biases).',
  });

function positive(where: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw bad(where, `${name} should be a positive number, found ${JSON.stringify(value)}`);
  }
  return value;
}

/** Checks what has to divide what; the bounds keep a damaged file from asking for absurd memory. */
function checked(where: string, c: LlamaConfig): LlamaConfig {
  for (const key of ['hiddenSize', 'intermediateSize', 'layers', 'heads', 'kvHeads', 'headDim', 'vocabSize'] as const) {
    if (!Number.isInteger(c[key]) || c[key] > 2 ** 24) throw bad(where, `${key} is ${c[key]}`);
  }
  if (c.heads % c.kvHeads) throw bad(where, `${c.heads} heads do not divide into ${c.kvHeads} key/value heads`);
  if (c.headDim % 2) throw bad(where, `headDim ${c.headDim} is odd; rotary positions need pairs`);
  return c;
}

function scalingFromJson(where: string, raw: unknown): RopeScaling | undefined {
  if (raw === null || raw === undefined) return undefined;
  const o = raw as Record<string, unknown>;
  const type = o.rope_type ?? o.type;
  if (type === 'default') return undefined;
  const factor = positive(where, 'rope_scaling.factor', o.factor);
  if (type === 'linear') return { type, factor };
  if (type === 'llama3') {
    return {
      type,
      factor,
      lowFreqFactor: positive(where, 'rope_scaling.low_freq_factor', o.low_freq_factor),
      highFreqFactor: positive(where, 'rope_scaling.high_freq_factor', o.high_freq_factor),
      originalMaxPositions: positive(
        where,
        'rope_scaling.original_max_position_embeddings',
        o.original_max_position_embeddings,
      ),
    };
  }
  throw bad(where, `rope_scaling type ${JSON.stringify(type)} is not supported (known: linear, llama3)`);
}

/**
 * @param where name for messages, e.g. the file's path.
 * @throws HuacayaError BAD_MODEL_CONFIG for another architecture or missing numbers.
 */
export function configFromJson(where: string, json: unknown): LlamaConfig {
  if (typeof json !== 'object' || json === null) throw bad(where, 'is not a JSON object');
  const c = json as Record<string, unknown>;
  if (c.model_type !== 'llama') {
    throw bad(where, `model_type is ${JSON.stringify(c.model_type)}, this version knows "llama"`);
  }
  for (const key of ['attention_bias', 'mlp_bias']) if (c[key] === true) throw bad(where, `${key} is not supported`);
  if (c.hidden_act !== undefined && c.hidden_act !== 'silu')
    throw bad(where, `hidden_act is ${c.hidden_act}, not silu`);
  const heads = positive(where, 'num_attention_heads', c.num_attention_heads);
  const hiddenSize = positive(where, 'hidden_size', c.hidden_size);
  // transformers 5 moved theta and the scaling into rope_parameters.
  const rope = (c.rope_parameters ?? {}) as Record<string, unknown>;
  const scaling = scalingFromJson(where, c.rope_scaling ?? (rope.rope_type ? rope : undefined));
  return checked(where, {
    hiddenSize,
    intermediateSize: positive(where, 'intermediate_size', c.intermediate_size),
    layers: positive(where, 'num_hidden_layers', c.num_hidden_layers),
    heads,
    kvHeads: positive(where, 'num_key_value_heads', c.num_key_value_heads ?? heads),
    headDim: positive(where, 'head_dim', c.head_dim ?? hiddenSize / heads),
    vocabSize: positive(where, 'vocab_size', c.vocab_size),
    rmsNormEps: positive(where, 'rms_norm_eps', c.rms_norm_eps ?? 1e-6),
    ropeTheta: positive(where, 'rope_theta', c.rope_theta ?? rope.rope_theta ?? 10000),
    ...(scaling ? { ropeScaling: scaling } : {}),
    maxPositions: positive(where, 'max_position_embeddings', c.max_position_embeddings ?? 2048),
    tiedHead: c.tie_word_embeddings === true,
  });
}

/**
 * @param tensors the file's tensor names and shapes (outermost axis first), for what the metadata leaves out.
 * @throws HuacayaError BAD_MODEL_CONFIG for another architecture or missing numbers.
 */
export function configFromGguf(
  where: string,
  metadata: ReadonlyMap<string, unknown>,
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
): LlamaConfig {
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'llama') {
    throw bad(where, `general.architecture is ${JSON.stringify(architecture)}, this version knows "llama"`);
  }
  const number = (key: string, fallback?: number) =>
    positive(where, `llama.${key}`, metadata.get(`llama.${key}`) ?? fallback);
  const heads = number('attention.head_count');
  const hiddenSize = number('embedding_length');
  const scalingType = metadata.get('llama.rope.scaling.type');
  const embedding = tensors.get('token_embd.weight');
  if (!embedding) throw bad(where, 'has no tensor token_embd.weight');
  return checked(where, {
    hiddenSize,
    intermediateSize: number('feed_forward_length'),
    layers: number('block_count'),
    heads,
    kvHeads: number('attention.head_count_kv', heads),
    headDim: number('attention.key_length', hiddenSize / heads),
    vocabSize: embedding.shape[0]!,
    rmsNormEps: number('attention.layer_norm_rms_epsilon', 1e-5),
    ropeTheta: number('rope.freq_base', 10000),
    ...(scalingType === 'linear'
      ? { ropeScaling: { type: 'linear' as const, factor: number('rope.scaling.factor') } }
      : {}),
    maxPositions: number('context_length', 2048),
    tiedHead: !tensors.has('output.weight'),
  });
}
