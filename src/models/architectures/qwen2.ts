// Qwen2 and Qwen2.5 (Yang et al. 2024): biases on q, k, v; a window in the upper layers where it is switched on.
import { type Architecture, requireActivation, slidingWindow } from './traits.ts';

export const qwen2: Architecture = {
  name: 'qwen2',
  modelType: 'qwen2',
  defaults: { max_position_embeddings: 32768, max_window_layers: 28, sliding_window: 4096 },
  traits(c, of) {
    requireActivation(c, ['silu'], of);
    const first = Number(c.max_window_layers);
    const window = c.use_sliding_window === true ? slidingWindow(c, (layer) => layer >= first, of) : {};
    return { qkvBias: true, ...window };
  },
};
