// LLaMA 1, 2, 3 and what shares their shape (Touvron et al. 2023): RMSNorm, rotary positions, SwiGLU, no biases.
import { type Architecture, requireActivation } from './traits.ts';

export const llama: Architecture = {
  name: 'llama',
  modelType: 'llama',
  defaults: {},
  traits(c, of) {
    requireActivation(c, ['silu'], of);
    return {};
  },
};
