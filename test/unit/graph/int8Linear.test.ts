// The gradient of int8Linear is a straight-through estimate: a product of its own, with the given backward weight.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { grad, type Int8Options, input, int8Linear, topological, type Value } from '../../../src/graph/index.ts';
import { evaluate, type Feeds } from '../../helpers/referenceEvaluator.ts';
import { quantizeRow, rotateRow } from '../../helpers/referenceOps.ts';
import { at, build, mapRows, randomTensor, type Tensor } from '../../helpers/tensor.ts';

const codes = (shape: number[], uniform: () => number): Tensor => build(shape, () => Math.floor(uniform() * 255) - 127);

/** Orthonormal, not symmetric: a wrong side of the product shows. */
const rotation: Tensor = { shape: [2, 2], data: [0.6, 0.8, -0.8, 0.6] };

/** g [rows, out] quantised per row, times an int8 matrix [out, in] with a scale per column. */
function quantizedProduct(g: Tensor, w: Tensor, scale: Tensor): Tensor {
  const quantized = mapRows(g, (row) => {
    const q = quantizeRow(row);
    return q.codes.map((c) => c * q.scale);
  });
  return product(quantized, w, (i) => scale.data[i]!);
}

function product(a: Tensor, b: Tensor, factor: (column: number) => number = () => 1): Tensor {
  const inner = Array.from({ length: b.shape[0]! }, (_, k) => k);
  return build([a.shape[0]!, b.shape[1]!], ([r, c]) => {
    return inner.reduce((sum, k) => sum + at(a, [r!, k]) * at(b, [k, c!]), 0) * factor(c!);
  });
}

/** The gradient with respect to x of <int8Linear(x, w), g>. */
function gradient(rows: number | string, width: number, out: number, options: Int8Options, feeds: Feeds): Tensor {
  const x = input('x', [rows, width]);
  const y = int8Linear(x, { w: input('w', [width, out], 'int8'), scale: input('scale', [out]) }, options);
  const made = grad([{ value: y, seed: input('g', y.shape) }], [x]).get(x)!;
  return evaluate([made], feeds)[0]!;
}

const shapes = {
  rows: fc.integer({ min: 1, max: 3 }),
  symbolic: fc.boolean(),
  width: fc.constantFrom(2, 4, 6),
  out: fc.constantFrom(2, 4, 6),
  rotateInput: fc.boolean(),
  seed: fc.integer(),
};

function randomFeeds(rows: number, width: number, out: number, uniform: () => number): Record<string, Tensor> {
  return {
    x: randomTensor([rows, width], uniform),
    w: codes([width, out], uniform),
    scale: randomTensor([out], uniform, 0.01, 0.02),
    g: randomTensor([rows, out], uniform),
    w1: codes([out, width], uniform),
    s1: randomTensor([width], uniform, 0.01, 0.02),
    rotation,
  };
}

function expectNear(actual: Tensor, expected: Tensor, tolerance = 1e-9): void {
  expect(actual.shape).toEqual(expected.shape);
  const peak = Math.max(...expected.data.map(Math.abs));
  const worst = Math.max(...actual.data.map((x, i) => Math.abs(x - expected.data[i]!)));
  expect(worst).toBeLessThanOrEqual(tolerance * peak);
}

describe('the gradient of int8Linear', () => {
  const turn = input('rotation', [2, 2]);
  const backwardInt8 = (width: number, out: number): { w: Value; scale: Value } => {
    return { w: input('w1', [out, width], 'int8'), scale: input('s1', [width]) };
  };

  it('is the quantised product with an int8 backward weight, rotated first where asked', () => {
    const turned = fc.boolean();
    fc.assert(
      fc.property(fc.record({ ...shapes, turned }), ({ rows, symbolic, width, out, rotateInput, turned, seed }) => {
        const feeds = randomFeeds(rows, width, out, createRng(seed).uniform);
        const backward = { int8: backwardInt8(width, out), ...(turned && { rotation: turn }) };
        const options = { backward, ...(rotateInput && { rotateInput: turn }) };
        const made = gradient(symbolic ? 'rows' : rows, width, out, options, feeds);
        const g = turned ? mapRows(feeds.g!, (row) => rotateRow(row, rotation)) : feeds.g!;
        expectNear(made, quantizedProduct(g, feeds.w1!, feeds.s1!));
      }),
    );
  });

  it('is the quantised product with its own codes turned over, their scales in the gradient', () => {
    fc.assert(
      fc.property(fc.record(shapes), ({ rows, symbolic, width, out, rotateInput, seed }) => {
        const feeds = randomFeeds(rows, width, out, createRng(seed).uniform);
        const options = { backward: 'transposed' as const, ...(rotateInput && { rotateInput: turn }) };
        const made = gradient(symbolic ? 'rows' : rows, width, out, options, feeds);
        const scaled = mapRows(feeds.g!, (row) => row.map((g, o) => g * feeds.scale!.data[o]!));
        const turned = build([out, width], ([o, i]) => at(feeds.w!, [i!, o!]));
        const product = quantizedProduct(scaled, turned, { shape: [width], data: new Array(width).fill(1) });
        const back: Tensor = { shape: [2, 2], data: [0.6, -0.8, 0.8, 0.6] };
        expectNear(made, rotateInput ? mapRows(product, (row) => rotateRow(row, back)) : product);
      }),
    );
  });

  it('with its own codes is near the gradient of the product that they stand for', () => {
    const feeds = randomFeeds(4, 32, 64, createRng(6).uniform);
    const float = build([64, 32], ([o, i]) => at(feeds.w!, [i!, o!]) * feeds.scale!.data[o!]!);
    expectNear(gradient('rows', 32, 64, { backward: 'transposed' }, feeds), product(feeds.g!, float), 0.02);
  });

  it('is near the gradient of the product that the int8 matrices stand for', () => {
    const { uniform } = createRng(5);
    const [rows, width, out] = [4, 32, 64];
    const feeds = randomFeeds(rows, width, out, uniform);
    const transposed = randomTensor([out, width], uniform); // the float weight, [out, in]
    // Its columns in the basis in which the rotated gradient lives, quantised one by one.
    const columns = Array.from({ length: width }, (_, i) => {
      return quantizeRow(
        rotateRow(
          Array.from({ length: out }, (_, o) => at(transposed, [o, i])),
          rotation,
        ),
      );
    });
    feeds.w1 = build([out, width], ([o, i]) => columns[i!]!.codes[o!]!);
    feeds.s1 = { shape: [width], data: columns.map((c) => c.scale) };
    const backward = { int8: backwardInt8(width, out), rotation: turn };
    expectNear(gradient('rows', width, out, { backward }, feeds), product(feeds.g!, transposed), 0.02);
  });

  it('needs a backward weight', () => {
    const x = input('x', ['rows', 2]);
    const y = int8Linear(x, { w: input('w', [2, 3], 'int8'), scale: input('scale', [3]) });
    expect(() => grad([{ value: y, seed: input('g', y.shape) }], [x])).toThrow('int8Linear: no backward weight');
  });

  it('the backward weight is seen by walks of the graph', () => {
    const x = input('x', ['rows', 2]);
    const matrix = { w: input('w', [2, 3], 'int8'), scale: input('scale', [3]) };
    const y = int8Linear(x, matrix, { backward: { int8: backwardInt8(2, 3) } });
    expect(topological([y]).map((n) => n.attrs.name)).toEqual(['x', 'w', 'scale', 'w1', 's1', undefined]);
  });
});
