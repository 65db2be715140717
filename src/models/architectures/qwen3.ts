// Qwen3, dense (Yang et al. 2025): a norm on each head's queries and keys, no biases, a head width of its own.
import { type Architecture, requireActivation, slidingWindow } from './traits.ts';

export const qwen3: Architecture = {
  name: 'qwen3',
  modelType: 'qwen3',
  defaults: { head_dim: 128, max_position_embeddings: 32768, max_window_layers: 28, sliding_window: 4096 },
  traits(c, of) {
    requireActivation(c, ['silu'], of);
    const first = Number(c.max_window_layers);
    const window = c.use_sliding_window === true ? slidingWindow(c, (layer) => layer >= first, of) : {};
    return { qkNorm: true, ...window };
  },
};
