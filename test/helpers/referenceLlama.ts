// The LLaMA forward pass in float64 and plain loops, written from the papers and the checkpoint's layout, and knowing
// nothing of src: what the graph, the engine and the precisions are compared with.
import type { TinyConfig, TinyModel } from './tinyModel.ts';

/** rows of one width */
export interface Matrix {
  rows: number;
  cols: number;
  data: Float64Array;
}

export interface ReferenceLora {
  scale: number;
  /** A [r, in] and B [out, r] of a projection; undefined where it has none. */
  at(layer: number, module: string): { r: number; a: Float64Array; b: Float64Array } | undefined;
  /** Factors on the adapter's input [tokens, in], e.g. a dropout mask; undefined: all ones. */
  mask?(layer: number, module: string): ArrayLike<number> | undefined;
}

interface Context {
  model: TinyModel;
  lora: ReferenceLora | undefined;
  /** First token's row in the masks. */
  row: number;
}

const matrix = (rows: number, cols: number): Matrix => ({ rows, cols, data: new Float64Array(rows * cols) });

/** x Wᵀ with W [out, in] */
function times(x: Matrix, w: Float64Array, out: number): Matrix {
  const y = matrix(x.rows, out);
  const { cols, data } = x;
  for (let t = 0; t < x.rows; t++) {
    for (let o = 0; o < out; o++) {
      let sum = 0;
      for (let i = 0; i < cols; i++) sum += data[t * cols + i]! * w[o * cols + i]!;
      y.data[t * out + o] = sum;
    }
  }
  return y;
}

/** Weights in float64: one kind of array in the inner loop is several times faster than two. */
const widened = new WeakMap<Float32Array, Float64Array>();

function weight(model: TinyModel, name: string): Float64Array {
  const found = model.tensors.get(name)?.data;
  if (!found) throw new Error(`no tensor ${name}`);
  const wide = widened.get(found) ?? Float64Array.from(found);
  widened.set(found, wide);
  return wide;
}

/** A projection with its adapter: W x + scale * B A (mask * x). */
function project(c: Context, layer: number, block: string, module: string, x: Matrix): Matrix {
  const w = weight(c.model, `model.layers.${layer}.${block}.${module}.weight`);
  const y = times(x, w, w.length / x.cols);
  const lora = c.lora?.at(layer, module);
  if (!lora) return y;
  const seen: Matrix = { ...x, data: x.data.slice() };
  const mask = c.lora!.mask?.(layer, module);
  if (mask) for (let i = 0; i < seen.data.length; i++) seen.data[i]! *= mask[c.row * x.cols + i]!;
  const change = times(times(seen, lora.a, lora.r), lora.b, y.cols);
  for (let i = 0; i < y.data.length; i++) y.data[i]! += c.lora!.scale * change.data[i]!;
  return y;
}

function norm(x: Matrix, by: Float64Array, eps: number): Matrix {
  const y = matrix(x.rows, x.cols);
  for (let t = 0; t < x.rows; t++) {
    const row = x.data.subarray(t * x.cols, (t + 1) * x.cols);
    const inverse = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / x.cols + eps);
    row.forEach((v, i) => {
      y.data[t * x.cols + i] = v * inverse * by[i]!;
    });
  }
  return y;
}

/** Radians per position of pair i, with Llama 3.1's stretching of slow turns. */
function turnRate(c: TinyConfig, i: number): number {
  const rate = c.rope_theta ** ((-2 * i) / c.head_dim);
  const s = c.rope_scaling;
  if (!s) return rate;
  const wavelength = (2 * Math.PI) / rate;
  const context = s.original_max_position_embeddings;
  if (wavelength < context / s.high_freq_factor) return rate;
  if (wavelength > context / s.low_freq_factor) return rate / s.factor;
  const smooth = (context / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * (rate / s.factor) + smooth * rate;
}

/** Turns each head's pairs (i, i + half) by position * rate, in place. */
function rotate(c: TinyConfig, x: Matrix): void {
  const half = c.head_dim / 2;
  for (let t = 0; t < x.rows; t++) {
    for (let head = 0; head < x.cols / c.head_dim; head++) {
      for (let i = 0; i < half; i++) {
        const at = t * x.cols + head * c.head_dim + i;
        const [a, b] = [x.data[at]!, x.data[at + half]!];
        const angle = t * turnRate(c, i);
        x.data[at] = a * Math.cos(angle) - b * Math.sin(angle);
        x.data[at + half] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
  }
}

function attend(c: TinyConfig, q: Matrix, k: Matrix, v: Matrix): Matrix {
  const d = c.head_dim;
  const out = matrix(q.rows, q.cols);
  for (let head = 0; head < c.num_attention_heads; head++) {
    const shared = Math.floor(head / (c.num_attention_heads / c.num_key_value_heads));
    for (let t = 0; t < q.rows; t++) {
      const scores: number[] = [];
      for (let s = 0; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < d; i++) dot += q.data[t * q.cols + head * d + i]! * k.data[s * k.cols + shared * d + i]!;
        scores.push(dot / Math.sqrt(d));
      }
      const shares = softmax(scores);
      for (let s = 0; s <= t; s++) {
        for (let i = 0; i < d; i++) {
          out.data[t * q.cols + head * d + i]! += shares[s]! * v.data[s * v.cols + shared * d + i]!;
        }
      }
    }
  }
  return out;
}

export function softmax(scores: ArrayLike<number>): number[] {
  const values = Array.from(scores);
  const top = Math.max(...values);
  const powers = values.map((s) => Math.exp(s - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/**
 * Logits of every position of one sequence, [ids, vocab].
 * @param row the first token's row in the adapter's masks.
 */
export function referenceLogits(model: TinyModel, ids: ArrayLike<number>, lora?: ReferenceLora, row = 0): Matrix {
  const { config: c } = model;
  const context: Context = { model, lora, row };
  const width = c.hidden_size;
  const table = weight(model, 'model.embed_tokens.weight');
  let x = matrix(ids.length, width);
  for (let t = 0; t < ids.length; t++) {
    for (let i = 0; i < width; i++) x.data[t * width + i] = table[ids[t]! * width + i]!;
  }
  const plus = (a: Matrix, b: Matrix): Matrix => ({ ...a, data: a.data.map((value, i) => value + b.data[i]!) });
  for (let layer = 0; layer < c.num_hidden_layers; layer++) {
    const normed = (name: string, of: Matrix) =>
      norm(of, weight(model, `model.layers.${layer}.${name}.weight`), c.rms_norm_eps);
    const h = normed('input_layernorm', x);
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((m) => project(context, layer, 'self_attn', m, h));
    rotate(c, q!);
    rotate(c, k!);
    x = plus(x, project(context, layer, 'self_attn', 'o_proj', attend(c, q!, k!, v!)));
    const g = normed('post_attention_layernorm', x);
    const gate = project(context, layer, 'mlp', 'gate_proj', g);
    const up = project(context, layer, 'mlp', 'up_proj', g);
    const inner: Matrix = { ...gate, data: gate.data.map((z, i) => (z / (1 + Math.exp(-z))) * up.data[i]!) };
    x = plus(x, project(context, layer, 'mlp', 'down_proj', inner));
  }
  const last = norm(x, weight(model, 'model.norm.weight'), c.rms_norm_eps);
  const head = c.tie_word_embeddings ? table : weight(model, 'lm_head.weight');
  return times(last, head, c.vocab_size);
}

/** One sequence; targets[t] is what should follow ids[t], or -1. */
export interface ReferenceSequence {
  ids: ArrayLike<number>;
  targets: ArrayLike<number>;
}

/** Sum of -log p over all targets of all sequences; the sequences' rows follow one another in the masks. */
export function referenceLoss(model: TinyModel, sequences: readonly ReferenceSequence[], lora?: ReferenceLora): number {
  let sum = 0;
  let row = 0;
  for (const { ids, targets } of sequences) {
    const logits = referenceLogits(model, ids, lora, row);
    for (let t = 0; t < ids.length; t++) {
      const target = targets[t]!;
      if (target < 0) continue;
      const line = logits.data.subarray(t * logits.cols, (t + 1) * logits.cols);
      const top = line.reduce((a, b) => Math.max(a, b));
      sum += top + Math.log(line.reduce((s, z) => s + Math.exp(z - top), 0)) - line[target]!;
    }
    row += ids.length;
  }
  return sum;
}

/** Mean of -log p(next token) over a sequence. */
export function referenceNll(model: TinyModel, ids: readonly number[], lora?: ReferenceLora): number {
  const targets = [...ids.slice(1), -1];
  return referenceLoss(model, [{ ids, targets }], lora) / (ids.length - 1);
}

/** The model with its adapter added into the weights: W + scale * B A. */
export function mergeLora(model: TinyModel, lora: ReferenceLora): TinyModel {
  const tensors = new Map(model.tensors);
  for (const [name, { shape, data }] of model.tensors) {
    const place = /^model\.layers\.(\d+)\.\w+\.(\w+_proj)\.weight$/.exec(name);
    const pair = place ? lora.at(Number(place[1]), place[2]!) : undefined;
    if (!pair) continue;
    const [out, inner] = shape as [number, number];
    const merged = new Float32Array(data);
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < inner; i++) {
        let sum = 0;
        for (let k = 0; k < pair.r; k++) sum += pair.b[o * pair.r + k]! * pair.a[k * inner + i]!;
        merged[o * inner + i]! += lora.scale * sum;
      }
    }
    tensors.set(name, { shape, data: merged });
  }
  return { ...model, tensors };
}
