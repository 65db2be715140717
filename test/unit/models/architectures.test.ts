// What config.json says of each architecture, also where it leaves out what the class of transformers assumes.
import { describe, expect, it } from 'vitest';
import { configFromJson } from '../../../src/models/index.ts';

const sizes = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 32,
};
const read = (json: Record<string, unknown>) => configFromJson('config.json', { ...sizes, ...json });

describe('config.json', () => {
  it('of Gemma 3 4B says little, and the text model is a part of it', () => {
    const text_config = { hidden_size: 2560, intermediate_size: 10240, num_hidden_layers: 34, sliding_window: 1024 };
    const c = configFromJson('x', {
      model_type: 'gemma3',
      vision_config: { hidden_size: 1152 },
      text_config: { ...text_config, rope_scaling: { factor: 8, rope_type: 'linear' } },
    });
    expect(c).toMatchObject({
      architecture: 'gemma3',
      hiddenSize: 2560,
      heads: 8,
      kvHeads: 4,
      headDim: 256,
      vocabSize: 262208,
      ropeTheta: 1e6,
      localRopeTheta: 1e4,
      ropeScaling: { type: 'linear', factor: 8 },
      tiedHead: true,
    });
    expect(c.slidingWindow?.layers.slice(0, 7)).toEqual([true, true, true, true, true, false, true]);
  });

  it('of transformers 5 keeps theta in rope_parameters', () => {
    const rope_parameters = {
      full_attention: { rope_type: 'default', rope_theta: 5e5 },
      sliding_attention: { rope_type: 'default', rope_theta: 2e4 },
    };
    expect(read({ model_type: 'gemma3_text', rope_parameters })).toMatchObject({ ropeTheta: 5e5, localRopeTheta: 2e4 });
    expect(read({ model_type: 'mistral', rope_parameters: { rope_theta: 1e6 } }).ropeTheta).toBe(1e6);
  });

  it('of Qwen2 has a window in the upper layers, where it is switched on', () => {
    const qwen = { model_type: 'qwen2', sliding_window: 8, max_window_layers: 4 };
    expect(read(qwen).slidingWindow).toBeUndefined();
    expect(read({ ...qwen, use_sliding_window: true }).slidingWindow).toEqual({
      size: 8,
      layers: [false, false, false, false, true, true],
    });
  });

  it('that says null for a cap or a window has none, and one that says nothing what the class assumes', () => {
    const none = { attn_logit_softcapping: null, final_logit_softcapping: null, sliding_window: null };
    const gemma2 = { model_type: 'gemma2', ...sizes };
    expect(read(gemma2)).toMatchObject({ attentionSoftcap: 50, logitSoftcap: 30, slidingWindow: { size: 4096 } });
    const bare = read({ ...gemma2, ...none });
    expect([bare.attentionSoftcap, bare.logitSoftcap, bare.slidingWindow]).toEqual([undefined, undefined, undefined]);
    const qwen = { model_type: 'qwen2', use_sliding_window: true, max_window_layers: 4 };
    expect(read(qwen).slidingWindow?.size).toBe(4096);
    expect(read({ ...qwen, sliding_window: null }).slidingWindow).toBeUndefined();
    expect(read({ model_type: 'mistral' }).slidingWindow?.size).toBe(4096);
    expect(read({ model_type: 'mistral', sliding_window: null }).slidingWindow).toBeUndefined();
  });

  it.each([
    [{ model_type: 'qwen3_moe' }, /model_type is "qwen3_moe"/],
    [{ model_type: 'phi3', partial_rotary_factor: 0.75 }, /partial_rotary_factor is 0\.75/],
    [{ model_type: 'qwen2', rope_scaling: { type: 'yarn', factor: 4 } }, /rope_scaling type "yarn"/],
    [{ model_type: 'mistral', hidden_act: 'relu' }, /relu/],
    [{ model_type: 'mistral', sliding_window: -1 }, /sliding_window/],
    [{ model_type: 'gemma2', attn_logit_softcapping: 'x' }, /attn_logit_softcapping/],
    [{ model_type: 'gemma3_text', use_bidirectional_attention: true }, /use_bidirectional_attention is not supported/],
    [{ model_type: 'gemma3_text', rope_local_base_freq: 0 }, /rope_local_base_freq/],
    [
      {
        model_type: 'phi3',
        rope_scaling: { type: 'su', short_factor: [1, 2], long_factor: [1, 2] },
      },
      /rope_scaling has 2 factors, a head of 16 needs 8/,
    ],
  ])('is refused: %j', (json, message) => {
    expect(() => read(json)).toThrow(message);
  });
});
