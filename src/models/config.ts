// What a LLaMA-family model is made of, read from Hugging Face's config.json.
import { HuacayaError } from '../base/index.ts';
import { type ArchitectureName, architectures, type Traits } from './architectures/index.ts';

/** Frequency scaling of rotary embeddings; names as in config.json's rope_scaling. */
export type RopeScaling =
  | { type: 'linear'; factor: number }
  /** LongRoPE (Ding et al. 2024): a divisor for each pair of a head, and a factor on cos and sin. */
  | {
      type: 'longrope';
      shortFactor: readonly number[];
      longFactor: readonly number[];
      originalMaxPositions: number;
      attentionFactor: number;
    }
  | { type: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositions: number };

/** The numbers that every architecture of the family has, and the traits in which one may differ from LLaMA. */
export interface LlamaConfig extends Traits {
  /** Absent: llama. */
  architecture?: ArchitectureName;
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
  /** The part of a model that also sees: transformers' class holds it as `language_model`. */
  textPart?: true;
}

const bad = (where: string, detail: string) =>
  new HuacayaError('BAD_MODEL_CONFIG', `${where}: ${detail}`, {
    hint: `Huacaya runs the LLaMA family: ${Object.keys(architectures).join(', ')}.`,
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

function factors(where: string, name: string, value: unknown): number[] {
  if (!Array.isArray(value) || value.length > 4096)
    throw bad(where, `rope_scaling.${name} should be a list of numbers`);
  return value.map((x) => positive(where, `rope_scaling.${name}`, x));
}

/** Phi-3: both lists of divisors, and the attention factor of the paper where the file has none. */
function longRope(where: string, c: Json, o: Json): RopeScaling {
  const original = positive(
    where,
    'original_max_position_embeddings',
    o.original_max_position_embeddings ?? c.original_max_position_embeddings,
  );
  const ratio = positive(where, 'max_position_embeddings', c.max_position_embeddings) / original;
  const usual = ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(original));
  return {
    type: 'longrope',
    shortFactor: factors(where, 'short_factor', o.short_factor),
    longFactor: factors(where, 'long_factor', o.long_factor),
    originalMaxPositions: original,
    attentionFactor: positive(where, 'rope_scaling.attention_factor', o.attention_factor ?? usual),
  };
}

type Json = Readonly<Record<string, unknown>>;

function scalingFromJson(where: string, c: Json, raw: unknown): RopeScaling | undefined {
  if (raw === null || raw === undefined) return undefined;
  const o = raw as Record<string, unknown>;
  const type = o.rope_type ?? o.type;
  if (type === undefined || type === 'default') return undefined;
  // The first files of Phi-3-128k call it su.
  if (type === 'longrope' || type === 'su') return longRope(where, c, o);
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
  throw bad(where, `rope_scaling type ${JSON.stringify(type)} is not supported (known: linear, llama3, longrope)`);
}

/** Of a model that also sees (Gemma 3 from 4B on) the part that reads and writes text. */
function textPart(json: Json): Json {
  const text = json.text_config;
  if (json.model_type !== 'gemma3' || typeof text !== 'object' || text === null) return json;
  return { model_type: 'gemma3_text', ...text };
}

const nullMeansNone = new Set(['sliding_window', 'attn_logit_softcapping', 'final_logit_softcapping']);

/**
 * @param where name for messages, e.g. the file's path.
 * @throws HuacayaError BAD_MODEL_CONFIG for another architecture or missing numbers.
 */
export function configFromJson(where: string, json: unknown): LlamaConfig {
  if (typeof json !== 'object' || json === null) throw bad(where, 'is not a JSON object');
  const given = textPart(json as Json);
  const known = Object.values(architectures).find((a) => a.modelType === given.model_type);
  if (!known) {
    const names = Object.values(architectures).map((a) => `"${a.modelType}"`);
    throw bad(where, `model_type is ${JSON.stringify(given.model_type)}, this version knows ${names.join(', ')}`);
  }
  // What a file leaves out is what the class of transformers assumes; null counts as left out where it does not mean none.
  const present = Object.entries(given).filter(
    ([key, value]) => value !== undefined && (value !== null || nullMeansNone.has(key)),
  );
  const c: Json = { ...known.defaults, ...Object.fromEntries(present) };
  for (const key of ['attention_bias', 'mlp_bias', 'use_bidirectional_attention'])
    if (c[key] === true) throw bad(where, `${key} is not supported`);
  const heads = positive(where, 'num_attention_heads', c.num_attention_heads);
  const hiddenSize = positive(where, 'hidden_size', c.hidden_size);
  const headDim = positive(where, 'head_dim', c.head_dim ?? hiddenSize / heads);
  const layers = positive(where, 'num_hidden_layers', c.num_hidden_layers);
  // transformers 5 moved theta and the scaling into rope_parameters, for Gemma 3 once for each kind of layer.
  const nested = (c.rope_parameters ?? {}) as Json;
  const rope = (nested.full_attention ?? nested) as Json;
  const ropeTheta = positive(where, 'rope_theta', given.rope_theta ?? rope.rope_theta ?? c.rope_theta ?? 10000);
  const partial = c.partial_rotary_factor ?? rope.partial_rotary_factor ?? 1;
  if (partial !== 1) throw bad(where, `partial_rotary_factor is ${JSON.stringify(partial)}; only 1 is supported`);
  const scaling = scalingFromJson(where, c, c.rope_scaling ?? rope);
  if (scaling?.type === 'longrope') {
    for (const list of [scaling.shortFactor, scaling.longFactor]) {
      if (list.length === headDim / 2) continue;
      throw bad(where, `rope_scaling has ${list.length} factors, a head of ${headDim} needs ${headDim / 2}`);
    }
  }
  return checked(where, {
    ...(known.name === 'llama' ? {} : { architecture: known.name }),
    hiddenSize,
    intermediateSize: positive(where, 'intermediate_size', c.intermediate_size),
    layers,
    heads,
    kvHeads: positive(where, 'num_key_value_heads', c.num_key_value_heads ?? heads),
    headDim,
    vocabSize: positive(where, 'vocab_size', c.vocab_size),
    rmsNormEps: positive(where, 'rms_norm_eps', c.rms_norm_eps ?? 1e-6),
    ropeTheta,
    ...(scaling ? { ropeScaling: scaling } : {}),
    maxPositions: positive(where, 'max_position_embeddings', c.max_position_embeddings ?? 2048),
    tiedHead: c.tie_word_embeddings === true,
    ...(given === json ? {} : { textPart: true as const }),
    ...known.traits(c, { hiddenSize, headDim, layers, bad: (detail) => bad(where, detail) }),
  });
}
