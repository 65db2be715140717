// In what a model of the family may differ from LLaMA, and how a row of the table of architectures looks.
import type { HuacayaError } from '../../base/index.ts';

/** All absent: LLaMA. */
export interface Traits {
  /** q, k and v have a bias. */
  qkvBias?: true;
  /** Queries and keys pass an RMSNorm a head, before positions are applied. */
  qkNorm?: true;
  /** Results of attention and of the MLP pass a norm of their own before they are added to the stream. */
  postNorms?: true;
  /** GeGLU (Shazeer 2020; tanh form of GELU) instead of SwiGLU. */
  activation?: 'gelu';
  /** Layers marked true see only the last `size` keys, their own included. */
  slidingWindow?: { size: number; layers: readonly boolean[] };
  /** Base of the rotary frequencies in layers with a window, which are not scaled either. */
  localRopeTheta?: number;
  /** Factor on the rows of the embedding. */
  embeddingScale?: number;
  /** Factor on scores instead of 1 / sqrt(headDim). */
  attentionScale?: number;
  /** Scores s become cap * tanh(s / cap). */
  attentionSoftcap?: number;
  /** The same for logits. */
  logitSoftcap?: number;
  /** Norm weights of Hugging Face's files are this less than what they are used as. */
  normOffset?: 1;
  /** q, k, v are one tensor in Hugging Face's files, gate and up another. */
  fused?: true;
}

export type ArchitectureName = 'llama' | 'mistral' | 'qwen2' | 'qwen3' | 'phi3' | 'gemma' | 'gemma2' | 'gemma3';

export interface Architecture {
  name: ArchitectureName;
  /** In config.json. */
  modelType: string;
  /** What transformers' configuration class assumes for keys that a file leaves out, where it differs from LLaMA's. */
  defaults: Readonly<Record<string, unknown>>;
  /** @param c config.json with the defaults filled in. @param of already read; `bad` makes the error for a wrong value. */
  traits(c: Readonly<Record<string, unknown>>, of: TraitContext): Traits;
}

export interface TraitContext {
  hiddenSize: number;
  headDim: number;
  layers: number;
  bad: (detail: string) => HuacayaError;
}

/** The activation has to be the one that the architecture is known for. */
export function requireActivation(c: Readonly<Record<string, unknown>>, wanted: readonly string[], of: TraitContext) {
  const found = c.hidden_activation ?? c.hidden_act;
  if (found !== undefined && !wanted.includes(String(found))) {
    throw of.bad(`the activation is ${JSON.stringify(found)}, not ${wanted[0]}`);
  }
}

/** A window in the layers for which `isLocal` holds; none where config.json has no size. */
export function slidingWindow(
  c: Readonly<Record<string, unknown>>,
  isLocal: (layer: number) => boolean,
  of: TraitContext,
): Pick<Traits, 'slidingWindow'> {
  const size = c.sliding_window;
  if (size === undefined || size === null) return {};
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1) {
    throw of.bad(`sliding_window is ${JSON.stringify(size)}, not a whole number above 0`);
  }
  const types = c.layer_types;
  if (types !== undefined && !(Array.isArray(types) && types.length === of.layers)) {
    throw of.bad(`layer_types should name the kind of each of ${of.layers} layers`);
  }
  const named = types as readonly unknown[] | undefined;
  const layers = Array.from({ length: of.layers }, (_, i) => (named ? named[i] === 'sliding_attention' : isLocal(i)));
  return layers.includes(true) ? { slidingWindow: { size, layers } } : {};
}
