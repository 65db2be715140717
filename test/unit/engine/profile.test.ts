// What is made of onnxruntime's traces: sums by op, arithmetic from shapes, and which runs count.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeOps, type OpProfile, type ProgramProfile, profileTotals } from '../../../src/engine/index.ts';
import { productFlops, productKind } from '../../../src/engine/products.ts';
import { mergePrograms } from '../../../src/engine/profile.ts';
import { summariseTrace } from '../../../src/engine/traceSummary.ts';

describe('productFlops', () => {
  it.each([
    [
      'MatMul',
      [
        [3, 5],
        [5, 7],
      ],
      [3, 7],
      2 * 3 * 5 * 7,
    ],
    [
      'MatMul',
      [
        [2, 4, 3, 5],
        [2, 4, 5, 7],
      ],
      [2, 4, 3, 7],
      2 * 8 * 3 * 5 * 7,
    ],
    [
      'MatMul',
      [
        [2, 3, 5],
        [5, 7],
      ],
      [2, 3, 7],
      2 * 6 * 5 * 7,
    ],
    ['MatMul', [[5], [5, 7]], [7], 2 * 5 * 7],
    [
      'FusedMatMul',
      [
        [5, 3],
        [5, 7],
      ],
      [3, 7],
      2 * 3 * 5 * 7,
    ], // transA
    [
      'FusedMatMul',
      [
        [3, 5],
        [7, 5],
      ],
      [3, 7],
      2 * 3 * 5 * 7,
    ], // transB
    [
      'FusedMatMul',
      [
        [2, 5, 3],
        [2, 7, 5],
      ],
      [2, 3, 7],
      2 * 2 * 3 * 5 * 7,
    ], // both
    [
      'Gemm',
      [
        [5, 3],
        [7, 5],
        [3, 7],
      ],
      [3, 7],
      2 * 3 * 5 * 7,
    ],
    ['MatMulIntegerToFloat', [[3, 5], [5, 7], [], [7], []], [3, 7], 2 * 3 * 5 * 7],
    [
      'MatMulInteger',
      [
        [3, 5],
        [5, 7],
      ],
      [3, 7],
      2 * 3 * 5 * 7,
    ],
    // 4-bit weights are one packed list; the activations know K.
    ['MatMulNBits', [[3, 64], [7, 2, 16], [14]], [3, 7], 2 * 3 * 64 * 7],
    ['MatMulBnb4', [[3, 64], [224], [7]], [3, 7], 2 * 3 * 64 * 7],
  ])('%s of %j to %j', (op, inputs, output, flops) => {
    expect(productFlops(op, inputs, output)).toBe(flops);
  });

  it('does not depend on what is transposed', () => {
    const size = fc.integer({ min: 1, max: 50 });
    fc.assert(
      fc.property(size, size, size, fc.boolean(), fc.boolean(), (m, k, n, transA, transB) => {
        const inputs = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n]];
        expect(productFlops('FusedMatMul', inputs, [m, n])).toBe(2 * m * k * n);
      }),
    );
  });

  it.each([
    ['another op', 'Softmax', [[3, 5]], [3, 5]],
    ['a name of every object', 'constructor', [[3, 5]], [3, 5]],
    ['no inputs', 'MatMul', [], [3, 5]],
    ['no output', 'MatMul', [[3, 5]], undefined],
    ['a first operand without axes', 'MatMul', [[], [5]], [5]],
    [
      'shapes that do not fit',
      'FusedMatMul',
      [
        [3, 5],
        [5, 7],
      ],
      [4, 7],
    ],
    [
      'no rows',
      'Gemm',
      [
        [0, 5],
        [5, 7],
      ],
      [0, 7],
    ],
  ])('is 0 for %s', (_what, op, inputs, output) => {
    expect(productFlops(op, inputs, output)).toBe(0);
  });
});

const event = (cat: string, name: string, dur: number, args: object = {}) =>
  `{"cat" : "${cat}","pid" :1,"tid" :1,"dur" :${dur},"ts" :3,"ph" : "X","name" :"${name}","args" : ${JSON.stringify(args)}},`;
const kernel = (op: string, dur: number, inputs: number[][] = [[1]], output: number[] = [1]) =>
  event('Node', 'n1_kernel_time', dur, {
    op_name: op,
    input_type_shape: inputs.map((float) => ({ float })),
    output_type_shape: [{ float: output }],
  });
const run = event('Session', 'model_run', 500);
const start = ['[', event('Session', 'session_initialization', 9000)];

describe('summariseTrace', () => {
  const product = kernel(
    'MatMul',
    40,
    [
      [3, 5],
      [5, 7],
    ],
    [3, 7],
  );
  const first = [product, kernel('Add', 5), event('Session', 'SequentialExecutor::Execute', 400), run];
  const second = [kernel('Add', 7), kernel('Add', 9), run];
  const third = [product, run];

  it('sums kernels by op, most time first', async () => {
    const made = await summariseTrace([...start, ...first, ...second, ...third, ']', ''], () => true);
    expect(made).toEqual({
      runs: 3,
      ops: [
        { op: 'MatMul', calls: 2, seconds: expect.closeTo(80e-6, 12), flops: 2 * 2 * 3 * 5 * 7 },
        { op: 'Add', calls: 3, seconds: expect.closeTo(21e-6, 12), flops: 0 },
      ],
    });
  });

  it('leaves out the kernels of runs that do not count', async () => {
    const made = await summariseTrace([...start, ...first, ...second, ...third, ']'], (n) => n === 1);
    expect(made).toEqual({
      runs: 3,
      ops: [{ op: 'Add', calls: 2, seconds: expect.closeTo(16e-6, 12), flops: 0 }],
    });
  });

  it('knows nothing of a session that never ran', async () => {
    expect(await summariseTrace([...start, ']'], () => true)).toEqual({ runs: 0, ops: [] });
  });

  it('takes an absent optional input', async () => {
    const shapes = {
      op_name: 'MatMul',
      input_type_shape: [{ float: [3, 5] }, {}],
      output_type_shape: [{ float: [3, 7] }],
    };
    const made = await summariseTrace([...start, event('Node', 'n1_kernel_time', 4, shapes), run, ']'], () => true);
    expect(made.ops).toEqual([{ op: 'MatMul', calls: 1, seconds: 4e-6, flops: 210 }]);
  });

  it('refuses a trace that was cut, within a line or between two', async () => {
    const whole = [...start, ...first];
    await expect(summariseTrace(whole, () => true)).rejects.toThrow('ends too early');
    await expect(summariseTrace([], () => true)).rejects.toThrow('ends too early');
    await expect(summariseTrace([...whole, product.slice(0, 40)], () => true)).rejects.toThrow(SyntaxError);
  });
});

const op = (name: string, seconds: number, flops = 0): OpProfile => ({ op: name, calls: 2, seconds, flops });
const program = (name: string, seconds: number, ops: OpProfile[]): ProgramProfile => {
  return { program: name, runs: 1, lost: 0, seconds, ops };
};

describe('totals', () => {
  it('tell products, other kernels and the rest apart', () => {
    const totals = profileTotals([
      program('a', 10, [op('MatMul', 4, 100), op('Add', 3)]),
      program('b', 5, [op('MatMulIntegerToFloat', 2, 70), op('Gemm', 1, 7)]),
    ]);
    expect(totals).toEqual({ seconds: 15, products: 7, others: 3, between: 5, flops: { float: 107, int8: 70 } });
    expect(profileTotals([])).toMatchObject({ seconds: 0, products: 0, between: 0 });
  });

  it('know every product by its kind', () => {
    expect(productKind('FusedMatMul')).toBe('float');
    expect(productKind('MatMulIntegerToFloat')).toBe('int8');
    expect(productKind('QuantizeLinear')).toBeUndefined();
    expect(productKind('toString')).toBeUndefined();
  });
});

describe('merging', () => {
  it('adds ops of the same name, most time first, and leaves its operands as they were', () => {
    const [a, b] = [[op('Add', 1), op('MatMul', 2, 5)], [op('Add', 3)]];
    expect(mergeOps([a, b])).toEqual([
      { op: 'Add', calls: 4, seconds: 4, flops: 0 },
      { op: 'MatMul', calls: 2, seconds: 2, flops: 5 },
    ]);
    expect(a[0]).toEqual(op('Add', 1));
  });

  it('adds sessions of the same program', () => {
    const merged = mergePrograms([
      program('a', 1, [op('Add', 1)]),
      program('b', 2, []),
      { ...program('a', 4, [op('Add', 2)]), lost: 3 },
    ]);
    expect(merged).toEqual([
      { program: 'a', runs: 2, lost: 3, seconds: 5, ops: [{ op: 'Add', calls: 4, seconds: 3, flops: 0 }] },
      program('b', 2, []),
    ]);
  });
});
