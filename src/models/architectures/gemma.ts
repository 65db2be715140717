// Gemma, the first generation (Gemma Team 2024): GeGLU, a scaled embedding, norms whose weights are stored less 1.
import { type Architecture, requireActivation, type TraitContext, type Traits } from './traits.ts';

/** What all generations of Gemma share. transformers reads `gelu` of the first files as the tanh form. */
export function gemmaTraits(c: Readonly<Record<string, unknown>>, of: TraitContext): Traits {
  requireActivation(c, ['gelu_pytorch_tanh', 'gelu'], of);
  return { activation: 'gelu', normOffset: 1, embeddingScale: Math.sqrt(of.hiddenSize) };
}

export const gemma: Architecture = {
  name: 'gemma',
  modelType: 'gemma',
  defaults: { head_dim: 256, max_position_embeddings: 8192, tie_word_embeddings: true },
  traits: gemmaTraits,
};
