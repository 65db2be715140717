// Phi-3 and Phi-3.5 mini (Abdin et al. 2024): LLaMA with q, k, v in one tensor, gate and up in another, and LongRoPE.
import { type Architecture, requireActivation, slidingWindow } from './traits.ts';

export const phi3: Architecture = {
  name: 'phi3',
  modelType: 'phi3',
  defaults: { rms_norm_eps: 1e-5, max_position_embeddings: 4096, original_max_position_embeddings: 4096 },
  traits(c, of) {
    requireActivation(c, ['silu'], of);
    return { fused: true, ...slidingWindow(c, () => true, of) };
  },
};
