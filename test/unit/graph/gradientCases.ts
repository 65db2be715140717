// For each differentiable op: small graphs of all its shapes, broadcast patterns and attributes, with random values.
import fc from 'fast-check';
import {
  add,
  addmm,
  concat,
  crossEntropy,
  type Dim,
  matmul,
  mul,
  nf4Linear,
  reduceSum,
  repeatRows,
  reshape,
  rmsNorm,
  rotary,
  sigmoid,
  silu,
  softmax,
  softmaxMatmul,
  split,
  sub,
  transpose,
  type Value,
} from '../../../src/graph/index.ts';
import { scaleDim } from '../../../src/graph/shape.ts';
import type { Feeds } from '../../helpers/referenceEvaluator.ts';
import { type Axis, Scene } from '../../helpers/scene.ts';

export interface GradientCase {
  outputs: Value[];
  feeds: Feeds;
  /** The inputs whose gradients are wanted: a random choice of those that have one. */
  wrt: Value[];
}

const axis = (max = 3): fc.Arbitrary<Axis> => fc.record({ size: fc.integer({ min: 1, max }), symbolic: fc.boolean() });
const axes = (minLength: number, maxLength: number) => fc.array(axis(), { minLength, maxLength });
const size = (max = 3) => fc.integer({ min: 1, max });
const bits = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 });

/** Which leading axes an operand lacks and along which it has size 1. */
const pattern = fc.record({ drop: fc.nat(4), ones: bits });
type Pattern = typeof pattern extends fc.Arbitrary<infer P> ? P : never;
const narrowed = (dims: readonly Dim[], p: Pattern): Dim[] =>
  dims.map((d, i) => (p.ones[i] ? 1 : d)).slice(Math.min(p.drop, dims.length));

/** A case from random parameters and a function that makes the outputs. */
function scene<T>(
  parameters: { [K in keyof T]: fc.Arbitrary<T[K]> },
  make: (s: Scene, p: T) => Value | readonly Value[],
): fc.Arbitrary<GradientCase> {
  const common = fc.record({ seed: fc.integer(), wanted: bits });
  return fc.tuple(common, fc.record(parameters) as unknown as fc.Arbitrary<T>).map(([{ seed, wanted }, p]) => {
    const s = new Scene(seed);
    const outputs = [make(s, p)].flat();
    const some = s.wrt.filter((_, i) => wanted[i]);
    return { outputs, feeds: s.feeds, wrt: some.length > 0 ? some : s.wrt };
  });
}

const elementwise = (op: (a: Value, b: Value) => Value) =>
  scene({ full: axes(0, 3), a: pattern, b: pattern }, (s, { full, a, b }) => {
    const dims = s.dims(full);
    return op(s.variable('a', narrowed(dims, a)), s.variable('b', narrowed(dims, b)));
  });

const unary = (op: (a: Value) => Value, least = 0) =>
  scene({ full: axes(least, 3) }, (s, { full }) => op(s.variable('x', s.dims(full))));

const product = { m: axis(), k: axis(), n: axis(), transA: fc.boolean(), transB: fc.boolean() };
const swappedIf = (swap: boolean, dims: Dim[]) => (swap ? dims.toReversed() : dims);

export const gradientCases: Readonly<Record<string, fc.Arbitrary<GradientCase>>> = {
  add: elementwise(add),
  sub: elementwise(sub),
  mul: elementwise(mul),
  sigmoid: unary(sigmoid),
  silu: unary(silu),
  softmax: unary(softmax, 1),

  matmul: scene(
    { ...product, lead: axes(0, 2), a: pattern, b: pattern, alpha: fc.constantFrom(1, 0.5, -2) },
    (s, p) => {
      const lead = s.dims(p.lead);
      const [m, k, n] = [s.dim('m', p.m), s.dim('k', p.k), s.dim('n', p.n)];
      const a = s.variable('a', [...narrowed(lead, p.a), ...swappedIf(p.transA, [m, k])]);
      const b = s.variable('b', [...narrowed(lead, p.b), ...swappedIf(p.transB, [k, n])]);
      return matmul(a, b, { transA: p.transA, transB: p.transB, alpha: p.alpha });
    },
  ),

  softmaxMatmul: scene({ m: axis(), k: axis(), n: axis(), lead: axes(0, 2), a: pattern, b: pattern }, (s, p) => {
    const lead = s.dims(p.lead);
    const [m, k, n] = [s.dim('m', p.m), s.dim('k', p.k), s.dim('n', p.n)];
    const scores = s.variable('scores', [...narrowed(lead, p.a), m, k]);
    return softmaxMatmul(scores, s.variable('values', [...narrowed(lead, p.b), k, n])).y;
  }),

  addmm: scene(product, (s, p) => {
    const [m, k, n] = [s.dim('m', p.m), s.dim('k', p.k), s.dim('n', p.n)];
    const c = s.variable('c', [m, n]);
    const a = s.variable('a', swappedIf(p.transA, [m, k]));
    return addmm(c, a, s.variable('b', swappedIf(p.transB, [k, n])), { transA: p.transA, transB: p.transB });
  }),

  nf4Linear: scene({ rows: axis(), out: size(4), in: size(40), block: fc.constantFrom(16, 32) }, (s, p) => {
    return nf4Linear(s.variable('x', [s.dim('n', p.rows), p.in]), s.nf4('w', p.out, p.in, p.block));
  }),

  // Two neighbouring axes become one, an axis of size 1 is put somewhere.
  reshape: scene({ first: axis(), rest: fc.array(size(), { maxLength: 3 }), at: fc.nat(2), one: fc.nat(3) }, (s, p) => {
    const dims = [s.dim('n', p.first), ...p.rest];
    const i = p.at % Math.max(1, p.rest.length);
    const merged = p.rest.length > 0 ? dims.toSpliced(i, 2, scaleDim(dims[i]!, p.rest[i]!)) : dims;
    return reshape(s.variable('x', dims), merged.toSpliced(Math.min(p.one, merged.length), 0, 1));
  }),

  transpose: scene({ full: axes(4, 4), perm: fc.shuffledSubarray([0, 1, 2, 3]) }, (s, { full, perm }) => {
    const order = perm.map((p) => [...perm].sort().indexOf(p)); // any rank: ranks of the chosen numbers
    return transpose(s.variable('x', s.dims(full.slice(0, perm.length))), order);
  }),

  // Some pieces are used, others not.
  split: scene(
    { lead: axes(0, 2), sizes: fc.array(size(), { minLength: 1, maxLength: 3 }), used: bits },
    (s, { lead, sizes, used }) => {
      const total = sizes.reduce((a, b) => a + b, 0);
      const pieces = split(s.variable('x', [...s.dims(lead), total]), sizes);
      const chosen = pieces.filter((_, i) => used[i]);
      return chosen.length > 0 ? chosen : pieces;
    },
  ),

  // Along any axis; a part may appear twice.
  concat: scene(
    {
      lead: axes(0, 2),
      trail: axes(0, 2),
      parts: fc.array(size(), { minLength: 1, maxLength: 3 }),
      again: fc.boolean(),
      negative: fc.boolean(),
    },
    (s, p) => {
      const others = s.dims([...p.lead, ...p.trail]);
      const parts = p.parts.map((n, i) => s.variable(`x${i}`, others.toSpliced(p.lead.length, 0, n)));
      return concat(p.again ? [...parts, parts[0]!] : parts, p.negative ? -p.trail.length - 1 : p.lead.length);
    },
  ),

  reduceSum: scene(
    { full: axes(3, 3), axes: fc.subarray([0, 1, 2]), keep: fc.boolean(), negative: fc.boolean() },
    (s, p) => {
      const x = s.variable('x', s.dims(p.full));
      return reduceSum(x, p.negative ? p.axes.map((a) => a - 3) : p.axes, p.keep);
    },
  ),

  repeatRows: scene({}, (s) => {
    const { table, index, repetition } = s.repetition();
    return repeatRows(s.variable('table', table), index, repetition);
  }),

  rmsNorm: scene(
    { lead: axes(0, 2), width: size(5), weighted: fc.boolean(), eps: fc.constantFrom(1e-5, 0.1) },
    (s, p) => {
      const x = s.variable('x', [...s.dims(p.lead), p.width]);
      return rmsNorm(x, p.weighted ? s.constant('weight', [p.width]) : undefined, p.eps).y;
    },
  ),

  rotary: scene({ tokens: axis(4), heads: size(2), half: size(2), inverse: fc.boolean() }, (s, p) => {
    const tokens = s.dim('tokens', p.tokens);
    const x = s.variable('x', [tokens, p.heads * p.half * 2]);
    const table = (name: string) => s.constant(name, [s.dim('positions', { size: 7, symbolic: true }), p.half]);
    return rotary(x, s.indices('at', [1, tokens], 7), table('cos'), table('sin'), p.inverse);
  }),

  crossEntropy: scene({ rows: axis(4), vocab: size(5) }, (s, p) => {
    const rows = s.dim('rows', p.rows);
    const logits = s.variable('logits', [rows, p.vocab]);
    return crossEntropy(logits, s.indices('labels', [rows, 1], p.vocab), s.constant('weights', [rows, 1])).loss;
  }),
};
