// A small attention block with an adapter: nearly every op in one graph, with two outputs.
import {
  add,
  addmm,
  causalMask,
  input,
  matmul,
  mul,
  reshape,
  rmsNorm,
  rotary,
  silu,
  softmax,
  split,
  transpose,
  type Value,
} from '../../src/graph/index.ts';
import { Scene } from './scene.ts';
import { build, type Tensor } from './tensor.ts';

const heads = 2;
const headDim = 4;
const width = heads * headDim;
const rank = 2;

export interface SmallBlock {
  outputs: Record<string, Value>;
  /** Inputs by name. */
  inputs: Record<'x' | 'a' | 'b' | 'w', Value>;
  feeds: Record<string, Tensor>;
}

/** y [tokens, width] and the keys [tokens, width] of `tokens` rows with random feeds. */
export function smallBlock(tokens: number, seed: number): SmallBlock {
  const s = new Scene(seed);
  const n = s.dim('tokens', { size: tokens, symbolic: true });
  const positions = s.dim('positions', { size: 9, symbolic: true });
  const x = s.variable('x', [n, width]);
  const a = s.variable('a', [rank, width]);
  const b = s.variable('b', [3 * width, rank]);
  const w = s.constant('w', [3 * width, width]);
  const norm = s.constant('norm', [width]);
  const cos = s.constant('cos', [positions, headDim / 2]);
  const sin = s.constant('sin', [positions, headDim / 2]);
  const at = input('at', [1, n], 'int64');
  const index = input('index', [n]);
  const count = (shape: number[]) => build(shape, (i) => i.at(-1)!);
  const feeds = { ...s.feeds, at: count([1, tokens]), index: count([tokens]) };

  const h = rmsNorm(x, norm, 1e-5).y;
  const low = matmul(h, a, { transB: true });
  const [q, k, v] = split(addmm(matmul(h, w, { transB: true }), low, b, { transB: true }), [width, width, width]);
  const perHead = (t: Value) => transpose(reshape(t, [n, heads, headDim]), [1, 0, 2]);
  const keys = rotary(k!, at, cos, sin);
  const scores = matmul(perHead(rotary(q!, at, cos, sin)), perHead(keys), { transB: true, alpha: 0.5 });
  const masked = add(scores, causalMask(index, index));
  const mixed = matmul(softmax(masked), perHead(v!));
  const rows = reshape(transpose(mixed, [1, 0, 2]), [n, width]);
  const y = add(x, mul(silu(rows), rows));
  return { outputs: { y, keys }, inputs: { x, a, b, w }, feeds };
}
