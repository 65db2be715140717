// Models that adapters name as their base and that are gone from the hub, with copies that were converted from the same
// weights; and a way to find a model of equal shape by its configuration alone.
import { configFromJson, type LlamaConfig } from './config.ts';

/** Lower case, as the hub compares names. */
const gone: Readonly<Record<string, readonly string[]>> = {
  'decapoda-research/llama-7b-hf': [
    'huggyllama/llama-7b',
    'baffo32/decapoda-research-llama-7B-hf',
    'yahma/llama-7b-hf',
  ],
  'decapoda-research/llama-13b-hf': ['huggyllama/llama-13b', 'yahma/llama-13b-hf'],
  'decapoda-research/llama-30b-hf': ['huggyllama/llama-30b'],
  'decapoda-research/llama-65b-hf': ['huggyllama/llama-65b'],
};

/** Width, width of the MLP, layers, heads (Touvron et al. 2023, table 2, and the published files). */
const sizes: Readonly<Record<string, readonly [number, number, number, number]>> = {
  'decapoda-research/llama-7b-hf': [4096, 11008, 32, 32],
  'decapoda-research/llama-13b-hf': [5120, 13824, 40, 40],
  'decapoda-research/llama-30b-hf': [6656, 17920, 60, 52],
  'decapoda-research/llama-65b-hf': [8192, 22016, 80, 64],
};

/** Copies of a model that is gone from the hub; [] for every other name. */
export const equalModels = (name: string): readonly string[] => gone[name.toLowerCase()] ?? [];

/**
 * Equal for models whose adapters fit one another: everything that decides shapes and positions. Two models with one key
 * may still have other weights, so this is a suggestion and no proof.
 */
export function configKey(c: LlamaConfig): string {
  const { maxPositions: _, textPart: _where, ...rest } = c;
  const fields = Object.entries(rest).filter(([, value]) => value !== undefined);
  return JSON.stringify(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `configKey` of a model that is gone from the hub; undefined for every other name. */
export function goneConfigKey(name: string): string | undefined {
  const found = sizes[name.toLowerCase()];
  if (!found) return undefined;
  const [hidden_size, intermediate_size, num_hidden_layers, num_attention_heads] = found;
  const numbers = { hidden_size, intermediate_size, num_hidden_layers, num_attention_heads };
  return configKey(configFromJson(name, { model_type: 'llama', ...numbers, vocab_size: 32000, rms_norm_eps: 1e-6 }));
}

/** The sentence for an adapter whose base model is gone; undefined where nothing is known. */
export function goneBase(name: string): string | undefined {
  const equals = equalModels(name);
  if (equals.length === 0) return undefined;
  return `${name} is gone from the hub; the same weights: ${equals.join(', ')}. huacaya pull ${equals[0]}, then --base-model ${equals[0]}`;
}
