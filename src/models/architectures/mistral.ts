// Mistral 7B, Nemo (Jiang et al. 2023): LLaMA whose first version sees a window of keys.
import { type Architecture, requireActivation, slidingWindow } from './traits.ts';

export const mistral: Architecture = {
  name: 'mistral',
  modelType: 'mistral',
  // The class has a window of 4096; files that want none say null, which counts as absent here.
  defaults: { num_key_value_heads: 8, max_position_embeddings: 131072 },
  traits(c, of) {
    requireActivation(c, ['silu'], of);
    return slidingWindow(c, () => true, of);
  },
};
