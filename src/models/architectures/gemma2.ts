// Gemma 2 (Gemma Team 2024): norms before and after each half of a layer, capped scores and logits, a window in every other layer.
import { gemmaTraits } from './gemma.ts';
import { type Architecture, slidingWindow, type TraitContext } from './traits.ts';

type Json = Readonly<Record<string, unknown>>;

/** Factor on scores: one over the square root of a number that need not be the width of a head. */
export function queryScale(c: Json, of: TraitContext): { attentionScale: number } {
  const scalar = c.query_pre_attn_scalar;
  if (typeof scalar !== 'number' || !(scalar > 0)) {
    throw of.bad(`query_pre_attn_scalar is ${JSON.stringify(scalar)}, not a number above 0`);
  }
  return { attentionScale: scalar ** -0.5 };
}

export function softcap(c: Json, key: string, of: TraitContext): number | undefined {
  const cap = c[key];
  if (cap === undefined || cap === null) return undefined;
  if (typeof cap !== 'number' || !(cap > 0)) throw of.bad(`${key} is ${JSON.stringify(cap)}, not a number above 0`);
  return cap;
}

export const gemma2: Architecture = {
  name: 'gemma2',
  modelType: 'gemma2',
  defaults: {
    head_dim: 256,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
    sliding_window: 4096,
    query_pre_attn_scalar: 256,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  traits(c, of) {
    const attention = softcap(c, 'attn_logit_softcapping', of);
    const logits = softcap(c, 'final_logit_softcapping', of);
    return {
      ...gemmaTraits(c, of),
      postNorms: true,
      ...queryScale(c, of),
      ...(attention ? { attentionSoftcap: attention } : {}),
      ...(logits ? { logitSoftcap: logits } : {}),
      ...slidingWindow(c, (layer) => layer % 2 === 0, of),
    };
  },
};
