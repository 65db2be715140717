// Gemma 3, text only (Gemma Team 2025): five layers with a window and frequencies of their own for each that sees everything.
import { gemmaTraits } from './gemma.ts';
import { queryScale, softcap } from './gemma2.ts';
import { type Architecture, slidingWindow } from './traits.ts';

export const gemma3: Architecture = {
  name: 'gemma3',
  modelType: 'gemma3_text',
  defaults: {
    vocab_size: 262208,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    rope_theta: 1_000_000,
    max_position_embeddings: 131072,
    tie_word_embeddings: true,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    query_pre_attn_scalar: 256,
  },
  traits(c, of) {
    const nested = (c.rope_parameters ?? {}) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    const theta = c.rope_local_base_freq ?? nested.sliding_attention?.rope_theta ?? 10000;
    if (typeof theta !== 'number' || !(theta > 0)) throw of.bad(`rope_local_base_freq is ${JSON.stringify(theta)}`);
    const every = Number(c.sliding_window_pattern);
    const attention = softcap(c, 'attn_logit_softcapping', of);
    const logits = softcap(c, 'final_logit_softcapping', of);
    return {
      ...gemmaTraits(c, of),
      postNorms: true,
      qkNorm: true,
      ...queryScale(c, of),
      ...(attention ? { attentionSoftcap: attention } : {}),
      ...(logits ? { logitSoftcap: logits } : {}),
      ...slidingWindow(c, (layer) => (layer + 1) % every !== 0, of),
      localRopeTheta: theta,
    };
  },
};
