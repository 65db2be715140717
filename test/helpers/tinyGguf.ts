// The tiny model as a GGUF file, laid out as llama.cpp's converter does it.
import { Bytes, buildGguf, type GgufParts } from '../unit/formats/ggufBuilder.ts';
import type { TinyModel } from './tinyModel.ts';
import { specialTokens, tinyTokenizerJson } from './tinyTokenizer.ts';

/** Value types of GGUF metadata. */
const types = { u32: 4, i32: 5, f32: 6, string: 8, array: 9 };

const modules: Record<string, string> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};
const outside: Record<string, string> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

function nameOf(name: string): string {
  const inLayer = /^model\.layers\.(\d+)\.(.*)\.weight$/.exec(name);
  return inLayer ? `blk.${inLayer[1]}.${modules[inLayer[2]!]}.weight` : outside[name]!;
}

/** The two halves of each head's rows, one row of each in turn. */
function interleaved(data: Float32Array, width: number, headDim: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let row = 0; row < data.length / width; row++) {
    const [head, within] = [Math.floor(row / headDim), row % headDim];
    const half = within < headDim / 2 ? 0 : 1;
    const to = head * headDim + 2 * (within % (headDim / 2)) + half;
    out.set(data.subarray(row * width, (row + 1) * width), to * width);
  }
  return out;
}

export function tinyGguf(model: TinyModel): Uint8Array {
  const { config: c } = model;
  const { model: bpe } = tinyTokenizerJson() as { model: { vocab: Record<string, number>; merges: string[] } };
  // By id: an object lists keys that look like numbers first.
  const ordinary = Object.entries(bpe.vocab).sort(([, a], [, b]) => a - b);
  const tokens = [...ordinary.map(([token]) => token), ...specialTokens];
  const u32 = (n: number) => (b: Bytes) => b.u32(types.u32).u32(n);
  const f32 = (n: number) => (b: Bytes) => b.u32(types.f32).f32(n);
  const string = (s: string) => (b: Bytes) => b.u32(types.string).string(s);
  const strings = (list: readonly string[]) => (b: Bytes) => {
    b.u32(types.array).u32(types.string).u64(list.length);
    for (const s of list) b.string(s);
  };
  const keys: GgufParts['keys'] = [
    ['general.architecture', string('llama')],
    ['llama.embedding_length', u32(c.hidden_size)],
    ['llama.feed_forward_length', u32(c.intermediate_size)],
    ['llama.block_count', u32(c.num_hidden_layers)],
    ['llama.attention.head_count', u32(c.num_attention_heads)],
    ['llama.attention.head_count_kv', u32(c.num_key_value_heads)],
    ['llama.attention.key_length', u32(c.head_dim)],
    ['llama.attention.layer_norm_rms_epsilon', f32(c.rms_norm_eps)],
    ['llama.rope.freq_base', f32(c.rope_theta)],
    ['llama.context_length', u32(c.max_position_embeddings)],
    ['tokenizer.ggml.model', string('gpt2')],
    ['tokenizer.ggml.pre', string('gpt-2')],
    ['tokenizer.ggml.tokens', strings(tokens)],
    ['tokenizer.ggml.merges', strings(bpe.merges)],
    [
      'tokenizer.ggml.token_type',
      (b) => {
        b.u32(types.array).u32(types.i32).u64(tokens.length);
        for (const t of tokens) b.u32(specialTokens.includes(t as never) ? 3 : 1);
      },
    ],
    ['tokenizer.ggml.eos_token_id', u32(tokens.indexOf('<|im_end|>'))],
  ];
  const tensors: NonNullable<GgufParts['tensors']> = [];
  const data = new Bytes();
  for (const [name, { shape, data: values }] of model.tensors) {
    // Innermost dimension first; every size here is a multiple of the alignment.
    tensors.push({ name: nameOf(name), dims: [...shape].reverse(), type: 0, offset: data.length });
    const pairs = /self_attn\.[qk]_proj/.test(name);
    const stored = pairs ? interleaved(values, shape[1]!, c.head_dim) : values;
    data.raw(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
  }
  return buildGguf({ keys, tensors, data: data.done() });
}
