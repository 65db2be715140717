// Reverse-mode differentiation as one table: op -> how the gradient of its outputs becomes the gradient of its inputs.
// To add an op: a function in ops.ts, a row here, a row in emit.ts, and a case in test/unit/graph.
import {
  add,
  concat,
  crossEntropyGrad,
  matmul,
  mul,
  reduceSum,
  reshape,
  rotary,
  rotateBlocks,
  scale,
  sigmoid,
  split,
  sub,
  sumRepeated,
  transpose,
} from './ops.ts';
import { expandNf4, int8Linear } from './quantisedOps.ts';
import { reducedAxes, type Shape } from './shape.ts';
import { type Node, scalar, type Value } from './value.ts';

/**
 * `grads[i]` is the gradient of output i (undefined: nothing depends on it), `wanted[i]` tells which inputs matter.
 * Returns the gradients of the inputs.
 */
type Rule = (node: Node, grads: readonly (Value | undefined)[], wanted: readonly boolean[]) => (Value | undefined)[];

/** Sums a gradient over the axes along which its operand was broadcast. */
function unbroadcast(g: Value, shape: Shape): Value {
  const axes = reducedAxes(g.shape, shape);
  const lead = g.shape.length - shape.length;
  const kept = axes.filter((a) => a >= lead).map((a) => a - lead);
  return reduceSum(reduceSum(g, axes.slice(0, lead), false), kept);
}

/** The gradient of an op whose second output is there only for the gradient itself. */
function onlyFirst(op: string, [g, other]: readonly (Value | undefined)[]): Value {
  if (!g || other) throw new Error(`${op} has no gradient through its second output`);
  return g;
}

const lastAxisSum = (v: Value) => reduceSum(v, [-1]);

/**
 * aᵀ b over the last two axes. A product with a transposed left side is slow where that side is wide (its panels are
 * gathered column by column): when only b has a fixed, hence narrow, width, (bᵀ a)ᵀ is computed instead.
 */
function transposedProduct(a: Value, b: Value, alpha = 1): Value {
  if (typeof a.shape.at(-1) === 'number' || typeof b.shape.at(-1) !== 'number') {
    return matmul(a, b, { transA: true, alpha });
  }
  const turned = matmul(b, a, { transA: true, alpha });
  const axes = turned.shape.map((_, i) => i);
  return transpose(turned, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!]);
}

export const gradients: Record<string, Rule> = {
  add: ({ inputs: [a, b] }, [g], [wa, wb]) => [
    wa ? unbroadcast(g!, a!.shape) : undefined,
    wb ? unbroadcast(g!, b!.shape) : undefined,
  ],

  sub: ({ inputs: [a, b] }, [g], [wa, wb]) => [
    wa ? unbroadcast(g!, a!.shape) : undefined,
    wb ? unbroadcast(scale(g!, -1), b!.shape) : undefined,
  ],

  mul: ({ inputs: [a, b] }, [g], [wa, wb]) => [
    wa ? unbroadcast(mul(g!, b!), a!.shape) : undefined,
    wb ? unbroadcast(mul(g!, a!), b!.shape) : undefined,
  ],

  sigmoid: ({ inputs: [x] }, [g]) => {
    const s = sigmoid(x!);
    return [mul(g!, sub(s, mul(s, s)))];
  },

  // d silu(x) = s + y (1 - s), with s = sigmoid(x) and y = x s: s + (y - y s)
  silu: ({ inputs: [x], outputs: [y] }, [g]) => {
    const s = sigmoid(x!);
    return [mul(g!, add(s, sub(y!, mul(y!, s))))];
  },

  matmul: ({ inputs: [a, b], attrs }, [g], [wa, wb]) => {
    const { transA, transB, alpha } = attrs as { transA: boolean; transB: boolean; alpha: number };
    const da = () =>
      transA ? matmul(b!, g!, { transA: transB, transB: true, alpha }) : matmul(g!, b!, { transB: !transB, alpha });
    const db = () => {
      if (!transB) return matmul(a!, g!, { transA: !transA, alpha });
      return transA ? matmul(g!, a!, { transA, transB, alpha }) : transposedProduct(g!, a!, alpha);
    };
    return [wa ? unbroadcast(da(), a!.shape) : undefined, wb ? unbroadcast(db(), b!.shape) : undefined];
  },

  addmm: (node, [g], [wc, wa, wb]) => {
    const product = { ...node, inputs: node.inputs.slice(1), attrs: { ...node.attrs, alpha: 1 } };
    return [wc ? g : undefined, ...gradients.matmul!(product, [g], [!!wa, !!wb])];
  },

  // The weight is frozen: the gradient of x is the same kind of product with the transposed weight.
  int8Linear: ({ inputs, attrs }, [g]) => {
    if (attrs.backward === 'transposed') {
      const w = transpose(inputs[1]!, [1, 0]);
      const turned = int8Linear(mul(g!, inputs[2]!), { w, scale: scalar(1) });
      return [attrs.rotateInput ? rotateBlocks(turned, transpose(inputs[3]!, [1, 0])) : turned];
    }
    const [w1, s1, rotation] = inputs.slice(attrs.rotateInput ? 4 : 3);
    if (attrs.backward !== 'int8') throw new Error('int8Linear: no backward weight was given');
    const rotated = rotation ? rotateBlocks(g!, rotation) : g!;
    return [int8Linear(rotated, { w: w1!, scale: s1! })];
  },

  // The weight is frozen. Only one matrix is expanded at a time, and not kept.
  nf4Linear: ({ inputs: [, codes, scales], attrs }, [g]) => [
    matmul(g!, expandNf4({ codes: codes!, scales: scales!, ...(attrs as { out: number; in: number; block: number }) })),
  ],

  reshape: ({ inputs: [a] }, [g]) => [reshape(g!, a!.shape)],

  transpose: ({ attrs }, [g]) => {
    const perm = attrs.perm as number[];
    return [
      transpose(
        g!,
        perm.map((_, i) => perm.indexOf(i)),
      ),
    ];
  },

  split: ({ outputs }, grads) => [
    concat(
      outputs.map((o, i) => grads[i] ?? scale(o, 0)),
      -1,
    ),
  ],

  // Only the last axis can be cut again; other axes go through a transpose.
  concat: ({ inputs, attrs }, [g], wanted) => {
    const axis = attrs.axis as number;
    const last = g!.shape.length - 1;
    const sizes = inputs.map((i) => i.shape[axis]!);
    if (sizes.some((s) => typeof s !== 'number')) throw new Error('concat: no gradient along a symbolic axis');
    const swap = g!.shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
    const pieces = split(axis === last ? g! : transpose(g!, swap), sizes as number[]);
    return pieces.map((p, i) => (wanted[i] ? (axis === last ? p : transpose(p, swap)) : undefined));
  },

  reduceSum: ({ inputs: [a], attrs }, [g]) => {
    const axes = attrs.axes as number[];
    const kept = attrs.keep
      ? g!
      : reshape(
          g!,
          a!.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
        );
    return [add(kept, scale(a!, 0))];
  },

  repeatRows: ({ inputs: [, , own, shared, copies, mask] }, [g]) => [
    sumRepeated(g!, { own: own!, shared: shared!, copies: copies!, mask: mask! }),
  ],

  // sum(dP * P) over the keys equals sum(g * y) over the width, which is shorter (Dao et al. 2022).
  softmaxMatmul: ({ inputs: [scores, values], outputs: [y, probs] }, grads, [ws, wv]) => {
    const g = onlyFirst('softmaxMatmul', grads);
    const dScores = () => {
      const dProbs = matmul(g, values!, { transB: true });
      return mul(probs!, sub(dProbs, lastAxisSum(mul(g, y!))));
    };
    return [
      ws ? unbroadcast(dScores(), scores!.shape) : undefined,
      wv ? unbroadcast(transposedProduct(probs!, g), values!.shape) : undefined,
    ];
  },

  softmax: ({ outputs: [y] }, [g]) => {
    const gy = mul(g!, y!);
    return [sub(gy, mul(y!, lastAxisSum(gy)))];
  },

  // dx = inv * (gw - x * mean(gw * x) * inv^2); the norm's weight is frozen, `inv` is never an output of a model.
  rmsNorm: ({ inputs: [x, weight], outputs: [, inv] }, grads) => {
    const g = onlyFirst('rmsNorm', grads);
    const gw = weight ? mul(g, weight) : g;
    const mean = scale(lastAxisSum(mul(gw, x!)), 1 / Number(x!.shape.at(-1)));
    return [mul(inv!, sub(gw, mul(x!, mul(mean, mul(inv!, inv!)))))];
  },

  rotary: ({ inputs: [, positions, cos, sin], attrs }, [g]) => [rotary(g!, positions!, cos!, sin!, !attrs.inverse)],

  crossEntropy: ({ inputs: [, labels, weights], outputs: [, probs] }, grads) => [
    crossEntropyGrad(probs!, labels!, mul(weights!, onlyFirst('crossEntropy', grads))),
  ],
};

/** The ops through which nothing is differentiated: they prepare weights, select rows between programs, or are gradients. */
export const notDifferentiable = new Set([
  'causalMask',
  'gatherRows',
  'scatterRows',
  'sumRepeated',
  'quantizeRows',
  'dequantizeRows',
  'quantizeInt4',
  'quantizeBlocks4',
  'expandBlocks4',
  'unpackInt4',
  'expandNf4',
  'crossEntropyGrad',
  'headGrad',
  'toFloat',
  'embedTokens',
  'joinRows',
  'splitRows',
  'nBitsLinear',
  'cachedAttention',
  'topK',
  'logSumExp',
  'adjustLogits',
]);
