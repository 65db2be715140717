// A GGUF file of a shape of shapes.json with random weights, so that two programs can run the very same 4-bit model
// without a download: matrices in Q4_0, the head in Q6_K and norms in F32, as llama.cpp's own Q4_0 files have them.
// Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, blocks: ggml-common.h.
// usage: randomGguf.mjs FILE [--shape 1.1b]
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRng, floatToHalf } from '../dist/base/index.js';
import { allRoles, configFromJson, expectedShape } from '../dist/models/index.js';
import { randomWeights } from './randomWeights.mjs';

const alignment = 32;
const aligned = (n) => Math.ceil(n / alignment) * alignment;

/** Writes `codes` of 32 numbers: scale, then the codes of elements j and j + 16 in one byte. */
function quantiseQ4(x) {
  const out = new Uint8Array((x.length / 32) * 18);
  const bytes = new DataView(out.buffer);
  for (let block = 0, p = 0; p < out.length; block += 32, p += 18) {
    let peak = 0;
    for (let j = 0; j < 32; j++) if (Math.abs(x[block + j]) > Math.abs(peak)) peak = x[block + j];
    const scale = peak / -8;
    bytes.setUint16(p, floatToHalf(scale), true);
    const code = (v) => (scale === 0 ? 8 : Math.min(15, Math.max(0, Math.round(v / scale) + 8)));
    for (let j = 0; j < 16; j++) out[p + 2 + j] = code(x[block + j]) | (code(x[block + j + 16]) << 4);
  }
  return out;
}

/** Blocks of 256: low nibbles [128], upper two bits [64], a signed scale for each 16 elements [16], the scale of scales. */
function quantiseQ6(x) {
  const out = new Uint8Array((x.length / 256) * 210);
  const bytes = new DataView(out.buffer);
  for (let block = 0, p = 0; p < out.length; block += 256, p += 210) {
    const peaks = Array.from({ length: 16 }, (_, g) => {
      const group = x.subarray(block + 16 * g, block + 16 * g + 16);
      return group.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
    });
    const unit = Math.max(...peaks) / 31 / 127;
    bytes.setUint16(p + 208, floatToHalf(unit), true);
    for (let e = 0; e < 256; e++) {
      const scale = Math.max(1, Math.round(peaks[e >> 4] / 31 / unit));
      bytes.setInt8(p + 192 + (e >> 4), scale);
      const code = Math.min(63, Math.max(0, Math.round(x[block + e] / (scale * unit)) + 32));
      const half = e >> 7;
      const quarter = (e >> 5) & 3;
      const j = e & 31;
      out[p + 64 * half + 32 * (quarter & 1) + j] |= (code & 15) << (quarter & 2 ? 4 : 0);
      out[p + 128 + 32 * half + j] |= (code >> 4) << (2 * quarter);
    }
  }
  return out;
}

const types = {
  F32: { id: 0, block: 1, bytes: 4, quantise: (x) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength) },
  Q4_0: { id: 2, block: 32, bytes: 18, quantise: quantiseQ4 },
  Q6_K: { id: 14, block: 256, bytes: 210, quantise: quantiseQ6 },
};

const moduleNames = {
  q_proj: 'attn_q',
  k_proj: 'attn_k',
  v_proj: 'attn_v',
  o_proj: 'attn_output',
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
};
const outerNames = { embedding: 'token_embd', finalNorm: 'output_norm', head: 'output' };
const normNames = { attentionNorm: 'attn_norm', mlpNorm: 'ffn_norm' };

function nameOf({ kind, layer, module }) {
  if (outerNames[kind]) return `${outerNames[kind]}.weight`;
  return `blk.${layer}.${normNames[kind] ?? moduleNames[module]}.weight`;
}

/** Bytes as GPT-2 spells them, and then pairs of them until there are enough: a byte-level BPE that reads any text. */
function vocabulary(size) {
  const plain = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let spare = 256;
  const letters = Array.from({ length: 256 }, (_, b) => String.fromCodePoint(plain(b) ? b : spare++));
  const special = ['<|endoftext|>'];
  const tokens = [...special, ...letters];
  const merges = [];
  // Printable ASCII first.
  const order = [...letters.slice(33, 127), ...letters.filter((_, b) => b < 33 || b > 126)];
  for (const a of order) {
    for (const b of order) {
      if (tokens.length === size) break;
      merges.push(`${a} ${b}`);
      tokens.push(a + b);
    }
  }
  return { tokens, merges, kinds: tokens.map((_, i) => (i < special.length ? 3 : 1)) };
}

/** Little-endian bytes that grow. */
function writer() {
  const parts = [];
  const put = (size, method, value) => {
    const view = new DataView(new ArrayBuffer(size));
    view[method](0, value, true);
    parts.push(new Uint8Array(view.buffer));
  };
  const u32 = (v) => put(4, 'setUint32', v);
  const u64 = (v) => put(8, 'setBigUint64', BigInt(v));
  const text = (s) => {
    const bytes = new TextEncoder().encode(s);
    u64(bytes.length);
    parts.push(bytes);
  };
  const f32 = (v) => put(4, 'setFloat32', v);
  const i32 = (v) => put(4, 'setInt32', v);
  return { parts, u32, u64, f32, i32, text };
}

/** Value types of the format. */
const writes = {
  u32: (w, v) => [w.u32(4), w.u32(v)],
  f32: (w, v) => [w.u32(6), w.f32(v)],
  bool: (w, v) => [w.u32(7), w.parts.push(Uint8Array.of(v ? 1 : 0))],
  text: (w, v) => [w.u32(8), w.text(v)],
  texts: (w, v) => [w.u32(9), w.u32(8), w.u64(v.length), v.forEach(w.text)],
  ints: (w, v) => [w.u32(9), w.u32(5), w.u64(v.length), v.forEach(w.i32)],
};

function metadata(c, shape) {
  const { tokens, merges, kinds } = vocabulary(c.vocabSize);
  return [
    ['general.architecture', 'text', 'llama'],
    ['general.name', 'text', `random ${shape}`],
    ['general.alignment', 'u32', alignment],
    ['general.quantization_version', 'u32', 2],
    ['general.file_type', 'u32', 2],
    ['llama.context_length', 'u32', c.maxPositions],
    ['llama.embedding_length', 'u32', c.hiddenSize],
    ['llama.feed_forward_length', 'u32', c.intermediateSize],
    ['llama.block_count', 'u32', c.layers],
    ['llama.attention.head_count', 'u32', c.heads],
    ['llama.attention.head_count_kv', 'u32', c.kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', c.rmsNormEps],
    ['llama.rope.dimension_count', 'u32', c.headDim],
    ['llama.rope.freq_base', 'f32', c.ropeTheta],
    ['llama.vocab_size', 'u32', c.vocabSize],
    ['tokenizer.ggml.model', 'text', 'gpt2'],
    ['tokenizer.ggml.pre', 'text', 'gpt-2'],
    ['tokenizer.ggml.tokens', 'texts', tokens],
    ['tokenizer.ggml.token_type', 'ints', kinds],
    ['tokenizer.ggml.merges', 'texts', merges],
    ['tokenizer.ggml.bos_token_id', 'u32', 0],
    ['tokenizer.ggml.eos_token_id', 'u32', 0],
    ['tokenizer.ggml.add_bos_token', 'bool', false],
  ];
}

/** All matrices and norms, with their places in the file's data. */
function tensorsOf(c) {
  let offset = 0;
  return [...allRoles(c)].map((role) => {
    const shape = expectedShape(c, role);
    const type = types[shape.length === 1 ? 'F32' : role.kind === 'head' ? 'Q6_K' : 'Q4_0'];
    if (shape.at(-1) % type.block) throw new Error(`${nameOf(role)}: rows of ${shape.at(-1)}, blocks of ${type.block}`);
    const bytes = (shape.reduce((a, b) => a * b, 1) / type.block) * type.bytes;
    const tensor = { name: nameOf(role), shape, type, offset, bytes };
    offset += aligned(bytes);
    return tensor;
  });
}

function header(c, shape, tensors) {
  const w = writer();
  const pairs = metadata(c, shape);
  w.parts.push(new TextEncoder().encode('GGUF'));
  w.u32(3);
  w.u64(tensors.length);
  w.u64(pairs.length);
  for (const [key, type, value] of pairs) {
    w.text(key);
    writes[type](w, value);
  }
  for (const t of tensors) {
    w.text(t.name);
    w.u32(t.shape.length);
    for (const n of t.shape.toReversed()) w.u64(n);
    w.u32(t.type.id);
    w.u64(t.offset);
  }
  const bytes = Buffer.concat(w.parts);
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

/**
 * Writes the file, or leaves an existing one. A row is a stretch of one quantised pool of normal numbers (deviation
 * 0.02), so gigabytes cost no more than copying.
 */
export async function writeRandomGguf(path, shape = '1.1b') {
  if (existsSync(path)) return;
  const json = JSON.parse(readFileSync(new URL('shapes.json', import.meta.url), 'utf8'))[shape];
  if (!json) throw new Error(`shape ${shape}: bench/shapes.json has no such entry`);
  const c = configFromJson(`shape ${shape}`, json);
  const numbers = await randomWeights(c).read({ kind: 'embedding' }, [0, Math.ceil(2 ** 20 / c.hiddenSize)]);
  const whole = numbers.subarray(0, numbers.length - (numbers.length % 256));
  const pools = new Map(Object.values(types).map((t) => [t, t.block > 1 ? t.quantise(whole) : undefined]));
  const tensors = tensorsOf(c);
  mkdirSync(dirname(path), { recursive: true });
  const file = await open(`${path}.part`, 'w');
  try {
    await file.write(header(c, shape, tensors));
    for (const t of tensors) {
      const bytes = Buffer.alloc(aligned(t.bytes));
      const [rows, width] = t.shape;
      if (width === undefined) {
        bytes.set(t.type.quantise(new Float32Array(rows).fill(1)));
      } else {
        const pool = pools.get(t.type);
        const row = (width / t.type.block) * t.type.bytes;
        const places = (pool.length - row) / t.type.bytes;
        const rng = createRng(0).fork(t.name);
        for (let i = 0; i < rows; i++) {
          const from = Math.floor(rng.uniform() * places) * t.type.bytes;
          bytes.set(pool.subarray(from, from + row), i * row);
        }
      }
      await file.write(bytes);
    }
  } finally {
    await file.close();
  }
  renameSync(`${path}.part`, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { shape: { type: 'string', default: '1.1b' } },
  });
  if (positionals.length !== 1) {
    process.stderr.write('usage: randomGguf.mjs FILE [--shape 1.1b]\n');
    process.exit(2);
  }
  await writeRandomGguf(positionals[0], values.shape);
}
