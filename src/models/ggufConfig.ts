// A GGUF file's metadata as a configuration. The keys say what config.json says, under names that begin with the architecture;
// the rest is what llama.cpp assumes for it. So a config.json is put together, and the one reader of those does the rest.
// Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; assumptions: load_hparams of llama.cpp.
import { HuacayaError } from '../base/index.ts';
import { type ArchitectureName, architectures } from './architectures/index.ts';
import { configFromJson, type LlamaConfig } from './config.ts';

/** Mistral's models are `llama` there, without their window. */
const known = Object.keys(architectures).filter((name): name is ArchitectureName => name !== 'mistral');

/** Divisors of LongRoPE, which GGUF keeps as tensors rope_factors_short.weight and rope_factors_long.weight. */
export interface RopeFactors {
  short: Float32Array;
  long: Float32Array;
}

const bad = (where: string, detail: string) =>
  new HuacayaError('BAD_MODEL_CONFIG', `${where}: ${detail}`, {
    hint: `Huacaya runs GGUF files of these architectures: ${known.join(', ')}.`,
  });

/**
 * @param tensors the file's tensor names and shapes (outermost axis first), for what the metadata leaves out.
 * @throws HuacayaError BAD_MODEL_CONFIG for another architecture or missing numbers.
 */
export function configFromGguf(
  where: string,
  metadata: ReadonlyMap<string, unknown>,
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
  factors?: RopeFactors,
): LlamaConfig {
  const architecture = metadata.get('general.architecture');
  const name = known.find((candidate) => candidate === architecture);
  if (!name) {
    throw bad(where, `general.architecture is ${JSON.stringify(architecture)}, this version knows ${known.join(', ')}`);
  }
  const value = (key: string) => metadata.get(`${name}.${key}`);
  const number = (key: string, fallback?: number) => {
    const found = value(key) ?? fallback;
    if (typeof found === 'number' && Number.isFinite(found) && found > 0) return found;
    throw bad(where, `${name}.${key} is ${JSON.stringify(found) ?? 'missing'}, not a positive number`);
  };
  const embedding = tensors.get('token_embd.weight');
  if (!embedding) throw bad(where, 'has no tensor token_embd.weight');
  const heads = number('attention.head_count');
  const hiddenSize = number('embedding_length');
  const headDim = number('attention.key_length', hiddenSize / heads);
  const layers = number('block_count');
  if (number('attention.value_length', headDim) !== headDim) throw bad(where, 'values are not as wide as keys');
  const parts: Parts = { value, number, heads, hiddenSize, headDim, layers };
  return configFromJson(where, {
    model_type: architectures[name].modelType,
    hidden_size: hiddenSize,
    intermediate_size: number('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: number('attention.head_count_kv', heads),
    head_dim: headDim,
    vocab_size: embedding.shape[0],
    rms_norm_eps: number('attention.layer_norm_rms_epsilon', 1e-5),
    rope_theta: number('rope.freq_base', 10000),
    partial_rotary_factor: number('rope.dimension_count', headDim) / headDim,
    max_position_embeddings: number('context_length', 2048),
    tie_word_embeddings: !tensors.has('output.weight'),
    rope_scaling: factors ? longRope(parts, factors) : scaling(parts),
    ...special[name]?.(parts),
  });
}

interface Parts {
  value(key: string): unknown;
  number(key: string, fallback?: number): number;
  heads: number;
  hiddenSize: number;
  headDim: number;
  layers: number;
}

function scaling({ value, number }: Parts) {
  const type = value('rope.scaling.type');
  // Scaling of Llama 3 is in rope_freqs.weight, and no type is given.
  if (type === undefined || type === 'none') return undefined;
  return { rope_type: type, factor: number('rope.scaling.factor') };
}

function longRope({ value, number }: Parts, { short, long }: RopeFactors) {
  return {
    rope_type: 'longrope',
    short_factor: [...short],
    long_factor: [...long],
    original_max_position_embeddings: number('rope.scaling.original_context_length', number('context_length')),
    attention_factor: value('rope.scaling.attn_factor'),
  };
}

/** 0 is how some writers say none. */
const window = ({ value }: Parts) => value('attention.sliding_window') || undefined;

/**
 * Gemma divides scores by the root of a number that GGUF does not keep: the width of a head, but in the 27B models what the
 * width of the model gives each head.
 */
function queryScalar({ value, hiddenSize, heads, headDim, layers }: Parts, layersOf27B: number): number {
  const scale = value('attention.scale');
  if (typeof scale === 'number' && scale > 0) return scale ** -2;
  return layers === layersOf27B ? hiddenSize / heads : headDim;
}

const special: Partial<Record<ArchitectureName, (parts: Parts) => Record<string, unknown>>> = {
  phi3: (parts) => ({ sliding_window: window(parts) }),
  gemma2: (parts) => ({
    sliding_window: window(parts),
    query_pre_attn_scalar: queryScalar(parts, 46),
    attn_logit_softcapping: parts.value('attn_logit_softcapping'),
    final_logit_softcapping: parts.value('final_logit_softcapping'),
  }),
  gemma3: (parts) => {
    const pattern = parts.value('attention.sliding_window_pattern');
    const listed = Array.isArray(pattern)
      ? { layer_types: pattern.map((local) => (local ? 'sliding_attention' : 'full_attention')) }
      : { sliding_window_pattern: pattern };
    return {
      sliding_window: window(parts),
      ...listed,
      rope_local_base_freq: parts.number('rope.freq_base_swa', 10000),
      query_pre_attn_scalar: queryScalar(parts, 62),
      final_logit_softcapping: parts.value('final_logit_softcapping'),
    };
  },
};
