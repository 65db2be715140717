// For each op: a graph with a symbolic size n that shows every attribute, as it is run on the engine.
import {
  add,
  addmm,
  causalMask,
  concat,
  crossEntropy,
  crossEntropyGrad,
  dequantizeRows,
  expandBlocks4,
  expandNf4,
  gatherRows,
  headGrad,
  type Int8Matrix,
  input,
  int8Linear,
  matmul,
  mul,
  nf4Linear,
  quantizeBlocks4,
  quantizeInt4,
  quantizeRows,
  reduceSum,
  repeatRows,
  reshape,
  rmsNorm,
  rotary,
  scalar,
  scatterRows,
  sigmoid,
  silu,
  softmax,
  softmaxMatmul,
  split,
  sub,
  sumRepeated,
  transpose,
  unpackInt4,
  type Value,
} from '../../../src/graph/index.ts';
import type { Scene } from '../../helpers/scene.ts';
import { mapRows } from '../../helpers/tensor.ts';
import { emitDecodeCases } from './emitDecodeCases.ts';

export interface EmitCase {
  /** Inputs and feeds are made in the scene; the graph itself must not depend on n. */
  make(s: Scene, n: number): Record<string, Value>;
  /** Allowed error, relative to the largest value of an output, where it is not 1e-5. */
  tolerance?: number;
}

const rowsOf = (s: Scene, n: number) => s.dim('n', { size: n, symbolic: true });

/** A row-wise float input [n, width]. */
const rows = (s: Scene, n: number, width = 6, name = 'x') => s.constant(name, [rowsOf(s, n), width]);

const elementwise = (op: (a: Value, b: Value) => Value): EmitCase => ({
  make(s, n) {
    const x = s.constant('x', [rowsOf(s, n), 1, 3]);
    const [y, row, one] = [s.constant('y', [4, 3]), s.constant('row', [3]), s.constant('one', [])];
    return { both: op(x, y), row: op(x, row), reverse: op(row, x), scalar: op(one, x), constant: op(x, scalar(1.5)) };
  },
});

const unary = (op: (a: Value) => Value): EmitCase => ({
  make(s, n) {
    const x = rows(s, n);
    const wide = rows(s, n, 6, 'wide');
    s.feeds.wide = mapRows(s.feeds.wide!, (row) => row.map((v) => v * 30));
    return { x: op(x), wide: op(wide) };
  },
});

/**
 * Rows whose 8-bit codes are beyond doubt: the largest magnitude is 127 steps, others lie off the ties between codes.
 * The first row is zero when there are several, the last is all extremes.
 */
function steppedRows(s: Scene, n: number, width: number): Value {
  const x = s.constant('x', [rowsOf(s, n), width]);
  s.feeds.x = mapRows(s.feeds.x!, (row, r) => {
    const step = 2 ** (r - 4);
    if (n > 1 && r === 0) return row.map(() => 0);
    if (r === n - 1) return row.map((_, i) => (i % 3 ? 127 : -127) * step);
    return row.map((v, i) => (i === r ? -127 : Math.trunc(v * 60) + v / 8) * step);
  });
  return x;
}

function int8Matrix(s: Scene, inner: number, out: number): Int8Matrix {
  const { shape } = s.indices('w', [inner, out], 121);
  s.feeds.w = { shape: [inner, out], data: s.feeds.w!.data.map((code) => code - 60) };
  return { w: input('w', shape, 'int8'), scale: s.constant('scale', [out]) };
}

export const emitCases: Readonly<Record<string, EmitCase>> = {
  ...emitDecodeCases,
  scalar: {
    make: (s, n) => ({ alone: scalar(0.25), used: add(rows(s, n), scalar(-3)) }),
  },
  add: elementwise(add),
  sub: elementwise(sub),
  mul: elementwise(mul),
  sigmoid: unary(sigmoid),
  silu: unary(silu),
  softmax: {
    make: (s, n) => {
      const wide = s.constant('wide', [2, rowsOf(s, n), 5]);
      s.feeds.wide = mapRows(s.feeds.wide!, (row) => row.map((v) => v * 100));
      return { rows: softmax(rows(s, n)), wide: softmax(wide) };
    },
  },

  softmaxMatmul: {
    make(s, n) {
      const scores = s.constant('scores', [2, rowsOf(s, n), s.dim('keys', { size: n + 2, symbolic: true })]);
      return { ...softmaxMatmul(scores, s.constant('values', [2, 'keys', 3])) };
    },
  },

  matmul: {
    make(s, n) {
      const [x, w] = [rows(s, n), s.constant('w', [6, 4])];
      const wT = s.constant('wT', [4, 6]);
      const y = rows(s, n, 4, 'y');
      const heads = s.constant('heads', [2, 1, rowsOf(s, n), 3]);
      const others = s.constant('others', [5, rowsOf(s, n), 3]);
      return {
        plain: matmul(x, w),
        scaled: matmul(x, w, { alpha: -0.5 }),
        transB: matmul(x, wT, { transB: true, alpha: 2 }),
        transA: matmul(x, y, { transA: true }),
        both: matmul(w, x, { transA: true, transB: true }),
        scores: matmul(heads, others, { transB: true, alpha: 0.1 }),
        inner: matmul(heads, others, { transA: true }),
        shared: matmul(others, s.constant('m', [3, 3])),
      };
    },
  },

  addmm: {
    make(s, n) {
      const [c, x, w] = [rows(s, n, 4, 'c'), rows(s, n), s.constant('w', [6, 4])];
      const [wT, wide] = [s.constant('wT', [4, 6]), s.constant('wide', [6, rowsOf(s, n)])];
      return {
        plain: addmm(c, x, w),
        transB: addmm(c, x, wT, { transB: true }),
        transA: addmm(c, wide, w, { transA: true }),
        both: addmm(c, wide, wT, { transA: true, transB: true }),
      };
    },
  },

  int8Linear: {
    make(s, n) {
      const x = steppedRows(s, n, 64);
      const matrix = int8Matrix(s, 64, 8);
      // A permutation with signs is orthonormal, and keeps the codes beyond doubt.
      const rotation = s.constant('rotation', [2, 2]);
      s.feeds.rotation = { shape: [2, 2], data: [0, 1, -1, 0] };
      const rotated = int8Linear(x, matrix, { rotateInput: rotation });
      // Steps of 0.25: small rows get few codes, large ones are cut.
      const fixed = int8Linear(x, matrix, { peak: 127 / 4 });
      const bare = int8Linear(x, { w: matrix.w, scale: scalar(1) });
      return { plain: int8Linear(x, matrix), rotated, fixed, bare };
    },
    tolerance: 1e-4,
  },

  quantizeRows: {
    make: (s, n) => ({ ...quantizeRows(steppedRows(s, n, 10)) }),
  },

  dequantizeRows: {
    make(s, n) {
      const { w } = int8Matrix(s, n, 6);
      return { rows: dequantizeRows(input('w', [rowsOf(s, n), 6], w.dtype), s.constant('scales', ['n'])) };
    },
  },

  // A column of zeros, one of equal values, one with a block of zeros; the sizes of weights are known.
  quantizeInt4: {
    make(s) {
      const x = s.constant('x', [32, 6]);
      s.feeds.x = mapRows(s.feeds.x!, (row, r) =>
        row
          .with(0, 0)
          .with(1, 0.75)
          .with(2, r < 16 ? 0 : row[2]!),
      );
      const { packed, steps, scale } = quantizeInt4(x, 16);
      const small = quantizeInt4(s.constant('small', [6, 3]), 2);
      return { packed, steps, scale, smallPacked: small.packed, smallSteps: small.steps };
    },
  },

  unpackInt4: {
    make(s) {
      const bytes = (name: string, shape: number[], low: number, high: number) => {
        s.indices(name, shape, high - low);
        s.feeds[name] = { shape, data: s.feeds[name]!.data.map((v) => v + low) };
      };
      bytes('packed', [12, 5], 0, 256);
      bytes('steps', [3, 5], -15, 16);
      return { codes: unpackInt4(input('packed', [12, 5], 'uint8'), input('steps', [3, 5], 'int8')) };
    },
    tolerance: 0,
  },

  quantizeBlocks4: {
    make(s) {
      const x = s.constant('x', [4, 24]);
      // Codes beyond doubt: the extremes of each block are 0 and 7.5, all others on the steps between.
      s.feeds.x = mapRows(s.feeds.x!, (row, r) =>
        row.map((_, c) => (c % 8 === 0 ? 0 : c % 8 === 7 ? 15 : (5 * c + r) % 16) / 2),
      );
      return { ...quantizeBlocks4(x, 8) };
    },
  },

  expandBlocks4: {
    make(s) {
      s.indices('packed', [3, 16], 256);
      const blocks = (name: string) =>
        s.given(
          name,
          [6, 2],
          Array.from({ length: 12 }, (_, i) => (i - 5) / 4),
          'float16',
        );
      const packed = input('packed', [3, 16], 'uint8');
      return { values: expandBlocks4({ packed, scale: blocks('scale'), offset: blocks('offset') }) };
    },
  },

  nf4Linear: {
    make(s, n) {
      // Blocks that end with the matrix, in mid-row, with a row in mid-byte, and beyond the matrix.
      return {
        even: nf4Linear(rows(s, n, 64), s.nf4('even', 4, 64, 64)),
        narrow: nf4Linear(rows(s, n, 20, 'y'), s.nf4('narrow', 48, 20, 64)),
        odd: nf4Linear(rows(s, n, 27, 'z'), s.nf4('odd', 20, 27, 32)),
        small: nf4Linear(rows(s, n, 6, 'w'), s.nf4('small', 3, 6, 64)),
      };
    },
  },
  expandNf4: {
    make: (s) => ({
      even: expandNf4(s.nf4('even', 4, 64, 64)),
      narrow: expandNf4(s.nf4('narrow', 48, 20, 64)),
      odd: expandNf4(s.nf4('odd', 20, 27, 16)),
      small: expandNf4(s.nf4('small', 3, 7, 256)),
      large: expandNf4(s.nf4('large', 96, 160, 128)),
    }),
    tolerance: 1e-7,
  },

  reshape: {
    make(s, n) {
      const x = rows(s, n, 12);
      return {
        split: reshape(x, ['n', 3, 4]),
        merged: reshape(x, ['3*n', 4]),
        flat: reshape(x, ['12*n']),
        front: reshape(x, [1, 'n', 12]),
        codes: reshape(s.indices('codes', ['n', 4], 100), ['2*n', 2]),
        fixed: reshape(s.constant('fixed', [4, 3]), [2, 6]),
        one: reshape(s.constant('one', [1, 1]), []),
      };
    },
  },

  transpose: {
    make(s, n) {
      const x = s.constant('x', [rowsOf(s, n), 2, 3]);
      return { back: transpose(x, [1, 2, 0]), swap: transpose(x, [0, 2, 1]), turn: transpose(x, [2, 0, 1]) };
    },
    tolerance: 0,
  },

  split: {
    make(s, n) {
      const [a, b, c] = split(rows(s, n), [1, 3, 2]);
      const [, unusedBefore] = split(s.constant('deep', [2, rowsOf(s, n), 4]), [1, 3]);
      return { a: a!, b: b!, c: c!, tail: unusedBefore! };
    },
    tolerance: 0,
  },

  concat: {
    make(s, n) {
      const [x, past] = [rows(s, n), s.constant('past', [s.dim('past', { size: n + 2, symbolic: true }), 6])];
      return { rows: concat([past, x], 0), twice: concat([x, x, x], -2), columns: concat([x, rows(s, n, 2, 'y')], -1) };
    },
    tolerance: 0,
  },

  reduceSum: {
    make(s, n) {
      const x = s.constant('x', [rowsOf(s, n), 2, 3]);
      return {
        last: reduceSum(x, [-1]),
        rows: reduceSum(x, [0], false),
        some: reduceSum(x, [0, 2]),
        all: reduceSum(x, [0, 1, 2], false),
      };
    },
  },

  gatherRows: {
    make(s, n) {
      const index = s.indices('index', [rowsOf(s, n)], 7);
      const codes = int8Matrix(s, 7, 3).w;
      return { rows: gatherRows(s.constant('table', [7, 3]), index), codes: gatherRows(codes, index) };
    },
    tolerance: 0,
  },

  scatterRows: {
    make(s, n) {
      const like = s.constant('like', [s.dim('places', { size: n + 2, symbolic: true }), 4]);
      const index = Array.from({ length: n }, (_, i) => (i === 0 ? n + 1 : i));
      return { all: scatterRows(rows(s, n, 4), s.given('index', ['n'], index), like) };
    },
  },

  repeatRows: {
    make(s) {
      const { table, index, repetition } = s.repetition();
      return { rows: repeatRows(s.constant('table', table), index, repetition) };
    },
    tolerance: 0,
  },

  sumRepeated: {
    make(s) {
      const { rows, repetition } = s.repetition();
      return { sums: sumRepeated(s.constant('rows', rows), repetition) };
    },
  },

  causalMask: {
    make(s, n) {
      const index = (name: string, count: number) => s.indices(name, [s.dim(name, { size: count, symbolic: true })], 6);
      const [query, key] = [index('query', n), index('key', n + 3)];
      return { mask: causalMask(input('query', query.shape), input('key', key.shape)) };
    },
    tolerance: 0,
  },

  rmsNorm: {
    make(s, n) {
      const [x, weight] = [rows(s, n), s.constant('weight', [6])];
      s.feeds.x = mapRows(s.feeds.x!, (row, r) => row.map((v) => (r === 1 ? 0 : v)));
      const weighted = rmsNorm(x, weight, 1e-5);
      const deep = rmsNorm(s.constant('deep', [2, rowsOf(s, n), 3]), undefined, 0.1);
      const bare = rmsNorm(x, undefined, 1e-6).y;
      return { y: weighted.y, inv: weighted.inv, bare, deep: deep.y, deepInv: deep.inv };
    },
  },

  rotary: {
    make(s, n) {
      const table = (name: string) => s.constant(name, [s.dim('positions', { size: 9, symbolic: true }), 3]);
      const [cos, sin] = [table('cos'), table('sin')];
      const at = s.indices('at', [1, rowsOf(s, n)], 9);
      const [x, one] = [rows(s, n, 24), rows(s, n, 6, 'one')];
      return {
        turned: rotary(x, at, cos, sin),
        inverse: rotary(x, at, cos, sin, true),
        oneHead: rotary(one, at, cos, sin),
      };
    },
  },

  crossEntropy: {
    make(s, n) {
      const n1 = [rowsOf(s, n), 1];
      const logits = rows(s, n, 7);
      const labels = s.indices('labels', n1, 7);
      const far = rows(s, n, 7, 'far');
      s.feeds.far = mapRows(s.feeds.far!, (row) => row.map((v) => v * 500)); // probabilities of 0
      const weights = s.constant('weights', n1);
      const bounded = crossEntropy(far, labels, weights);
      return { ...crossEntropy(logits, labels, weights), bounded: bounded.loss, certain: bounded.probs };
    },
  },

  headGrad: {
    make(s, n) {
      const n1 = [rowsOf(s, n), 1];
      const [probs, labels, weights] = [rows(s, n, 7), s.indices('labels', n1, 7), s.constant('weights', n1)];
      const codes = int8Matrix(s, 7, 5).w;
      const head = { codes, scale: s.constant('scales', [7]), mean: s.constant('mean', [1, 5]) };
      return {
        all: headGrad(probs, labels, weights, head, 7),
        some: headGrad(probs, labels, weights, head, 3),
      };
    },
  },

  crossEntropyGrad: {
    make(s, n) {
      const n1 = [rowsOf(s, n), 1];
      return { grad: crossEntropyGrad(rows(s, n, 7), s.indices('labels', n1, 7), s.constant('weights', n1)) };
    },
  },
};
