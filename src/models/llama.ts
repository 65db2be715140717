// The LLaMA forward pass (Touvron et al. 2023), declared once for training and for inference. Rows are tokens of any
// number of sequences; only `attention` knows which keys a query may see, so it runs once a sequence.

import type { Dim, Value } from '../graph/index.ts';
import {
  add,
  input,
  matmul,
  mul,
  reshape,
  rmsNorm,
  rotary,
  scalar,
  scale,
  sigmoid,
  silu,
  softmaxMatmul,
  transpose,
} from '../graph/index.ts';
import type { LlamaConfig } from './config.ts';

/** A projection with whatever belongs to it: frozen weight in some precision, adapter, dropout. */
export type Projection = (x: Value) => Value;

/** The projections of a layer, in the order in which data meets them, and the block in which checkpoints keep them. */
export const modules = {
  q_proj: 'self_attn',
  k_proj: 'self_attn',
  v_proj: 'self_attn',
  o_proj: 'self_attn',
  gate_proj: 'mlp',
  up_proj: 'mlp',
  down_proj: 'mlp',
} as const;

export type ModuleName = keyof typeof modules;
export const moduleNames = Object.keys(modules) as ModuleName[];

/** Output and input width of one projection. */
export function moduleShape(c: LlamaConfig, module: ModuleName): { out: number; in: number } {
  const query = c.heads * c.headDim;
  const key = c.kvHeads * c.headDim;
  switch (module) {
    case 'q_proj':
      return { out: query, in: c.hiddenSize };
    case 'k_proj':
    case 'v_proj':
      return { out: key, in: c.hiddenSize };
    case 'o_proj':
      return { out: c.hiddenSize, in: query };
    case 'gate_proj':
    case 'up_proj':
      return { out: c.intermediateSize, in: c.hiddenSize };
    case 'down_proj':
      return { out: c.hiddenSize, in: c.intermediateSize };
  }
}

export interface Rope {
  /** [1, tokens] int64 */
  positions: Value;
  /** [maxPositions, headDim / 2] */
  cos: Value;
  sin: Value;
}

export const ropeInputs = (c: LlamaConfig, tokens = 'tokens'): Rope => ({
  positions: input('positions', [1, tokens], 'int64'),
  cos: input('cos', ['maxPositions', c.headDim / 2]),
  sin: input('sin', ['maxPositions', c.headDim / 2]),
});

/**
 * First third of a layer: x [tokens, hidden] to queries [tokens, heads * headDim], keys and values
 * [tokens, kvHeads * headDim], positions applied. `norm` may be absent when it is folded into the projections.
 */
export function attentionInput(
  c: LlamaConfig,
  x: Value,
  layer: { norm: Value | undefined; q: Projection; k: Projection; v: Projection },
  rope: Rope,
) {
  const h = rmsNorm(x, layer.norm, c.rmsNormEps).y;
  const turn = (t: Value) => rotary(t, rope.positions, rope.cos, rope.sin);
  const q = headNorm(c, layer.q(h), 'queryNorm');
  const k = headNorm(c, layer.k(h), 'keyNorm');
  return { q: turn(q), k: turn(k), v: layer.v(h) };
}

/** Queries or keys [..., heads * headDim], each head through a norm where the architecture has one. */
export function headNorm(c: LlamaConfig, x: Value, name: string): Value {
  if (!c.qkNorm) return x;
  const outer = x.shape.slice(0, -1);
  const byHead = reshape(x, [...outer, Number(x.shape.at(-1)) / c.headDim, c.headDim]);
  return reshape(rmsNorm(byHead, input(name, [c.headDim]), c.rmsNormEps).y, x.shape);
}

/** cap * tanh(x / cap), with tanh(u) = 2 sigmoid(2 u) - 1. */
export const softcap = (x: Value, cap: number | undefined): Value =>
  cap === undefined ? x : add(scale(sigmoid(scale(x, 2 / cap)), 2 * cap), scalar(-cap));

/** GELU in its tanh form, which is x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)). */
function gelu(x: Value): Value {
  const inner = add(x, scale(mul(mul(x, x), x), 0.044715));
  return mul(x, sigmoid(scale(inner, 2 * Math.sqrt(2 / Math.PI))));
}

/** The gated half of the MLP. */
export const gated = (c: LlamaConfig, gate: Value, up: Value): Value =>
  mul(c.activation === 'gelu' ? gelu(gate) : silu(gate), up);

export const scoreScale = (c: LlamaConfig): number => c.attentionScale ?? 1 / Math.sqrt(c.headDim);

/** The keys that a layer sees, its own included; undefined: all. */
export const windowOf = (c: LlamaConfig, layer: number): number | undefined =>
  c.slidingWindow?.layers[layer] ? c.slidingWindow.size : undefined;

/** Queries by head, and keys or values by the head that a group of queries shares: the same memory, seen with more axes. */
export const queryHeads = (c: LlamaConfig, rows: Dim): Dim[] => [rows, c.kvHeads, c.heads / c.kvHeads, c.headDim];
export const keyHeads = (c: LlamaConfig, rows: Dim): Dim[] => [rows, c.kvHeads, 1, c.headDim];

/**
 * Second third, for one sequence: q [queries, kvHeads, group, headDim] against k, v [keys, kvHeads, 1, headDim], to the
 * shape of q. `mask` [queries, keys] is added to the scores: 0 where a query may look, very negative where not.
 * The heads of a group share keys and values by broadcasting: one product a head, which spreads over cores.
 */
export function attention(c: LlamaConfig, q: Value, k: Value, v: Value, mask: Value): Value {
  const byHead = (x: Value) => transpose(x, [1, 2, 0, 3]);
  const scores = matmul(byHead(q), byHead(k), { transB: true, alpha: scoreScale(c) });
  const mixed = softmaxMatmul(add(softcap(scores, c.attentionSoftcap), mask), byHead(v)).y; // [kvHeads, group, queries, headDim]
  return transpose(mixed, [2, 0, 1, 3]);
}

/** Last third: the attention's result o [tokens, heads * headDim] and the SwiGLU block (Shazeer 2020), with residuals. */
export function attentionOutput(
  c: LlamaConfig,
  x: Value,
  o: Value,
  layer: {
    o: Projection;
    postAttentionNorm: Value | undefined;
    norm: Value | undefined;
    gate: Projection;
    up: Projection;
    down: Projection;
    postMlpNorm: Value | undefined;
  },
): Value {
  const post = (y: Value, weight: Value | undefined) => (weight ? rmsNorm(y, weight, c.rmsNormEps).y : y);
  const x1 = add(x, post(layer.o(o), layer.postAttentionNorm));
  const h = rmsNorm(x1, layer.norm, c.rmsNormEps).y;
  return add(x1, post(layer.down(gated(c, layer.gate(h), layer.up(h))), layer.postMlpNorm));
}

/** What the output head sees of x [rows, hidden]; `norm` may be absent when it is folded into the head. */
export const finalNorm = (c: LlamaConfig, x: Value, norm: Value | undefined): Value => rmsNorm(x, norm, c.rmsNormEps).y;
