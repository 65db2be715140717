// Mistral 7B, Nemo (Jiang et al. 2023): LLaMA whose first version sees a window of keys.
import { type Architecture, requireActivation, slidingWindow } from './traits.ts';

export const mistral: Architecture = {
  name: 'mistral',
  modelType: 'mistral',
  // Files that want no window say null.
  defaults: { num_key_value_heads: 8, max_position_embeddings: 131072, sliding_window: 4096 },
  traits(c, of) {
    requireActivation(c, ['silu'], of);
    return slidingWindow(c, () => true, of);
  },
};
