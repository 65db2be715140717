// What shapes the ops accept, what they say when shapes disagree, and the arithmetic of symbolic sizes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  addmm,
  adjustLogits,
  cachedAttention,
  causalMask,
  concat,
  crossEntropy,
  crossEntropyGrad,
  type Dim,
  dequantizeRows,
  embedTokens,
  expandBlocks4,
  expandNf4,
  gatherRows,
  headGrad,
  input,
  int8Linear,
  joinRows,
  logSumExp,
  matmul,
  mul,
  nBitsLinear,
  nf4Linear,
  quantizeBlocks4,
  quantizeInt4,
  quantizeRows,
  reduceSum,
  repeatRows,
  reshape,
  rmsNorm,
  rotary,
  rotateBlocks,
  type Shape,
  ShapeError,
  scalar,
  scatterRows,
  softmax,
  softmaxMatmul,
  split,
  splitRows,
  sub,
  sumRepeated,
  toFloat,
  topK,
  transpose,
  unpackInt4,
  type Value,
} from '../../../src/graph/index.ts';
import {
  addDims,
  broadcast,
  elements,
  reducedAxes,
  resolveDim,
  resolveShape,
  scaleDim,
} from '../../../src/graph/shape.ts';
import { opNames } from '../../helpers/opNames.ts';

let made = 0;
const v = (...shape: Dim[]) => input(`v${made++}`, shape);
const matrix = (rows: Dim, columns: Dim, scales: Dim) => ({ w: input('w', [rows, columns], 'int8'), scale: v(scales) });

const nf4 = (out: number, inner: number, block: number) => ({
  codes: input('codes', [Math.ceil((out * inner) / 2)], 'uint8'),
  scales: v(Math.ceil((out * inner) / block)),
  out,
  in: inner,
  block,
});

const repetition = (own: Dim, masked: Dim) => ({
  own: v(own),
  shared: v('shared'),
  copies: v('copies', 'shared'),
  mask: v('copies', masked, 1),
});

const headRows = (vocab: Dim, scales: Dim) => ({
  codes: input('codes', [vocab, 4], 'int8'),
  scale: v(scales),
  mean: v(1, 4),
});

/** A matrix [out, 72] in 4 bits in blocks of 32, of which there are three; what is given is wrong. */
const nBits = (wrong: { codes?: Dim[]; scales?: Dim[]; zeroPoints?: Dim[]; bits?: 4 | 8 }) => ({
  codes: input('codes', wrong.codes ?? [6, 3, 16], 'uint8'),
  scales: v(...(wrong.scales ?? [6, 3])),
  zeroPoints: input('points', wrong.zeroPoints ?? [6, 2], 'uint8'),
  bits: wrong.bits ?? (4 as const),
  block: 32,
  in: 72,
  means: false,
});

/** Four heads and two of keys and values, 16 wide, with a cache for 9 keys; what is given is wrong. */
const attend = (wrong: {
  qkv?: Dim[][];
  pastK?: Dim[];
  pastV?: Dim[];
  lastKey?: Dim[];
  scales?: Dim[];
  dtype?: 'int8';
}) =>
  cachedAttention({
    qkv: (wrong.qkv ?? [['n', 1, 128]]).map((shape) => v(...shape)) as [Value],
    pastK: input('k', wrong.pastK ?? ['n', 2, 9, 16], wrong.dtype ?? 'float32'),
    pastV: input('v', wrong.pastV ?? ['n', 2, 9, 16], wrong.dtype ?? 'float32'),
    ...(wrong.scales ? { scales: { k: input('ks', wrong.scales), v: input('vs', wrong.scales) } } : {}),
    lastKey: input('last', wrong.lastKey ?? ['n'], 'int32'),
    total: input('total', [], 'int32'),
    cos: v('positions', 8),
    sin: v('positions', 8),
    heads: 4,
    kvHeads: 2,
  });

/** op, a call that must fail, what the message must show (shapes as a reader writes them). */
const mistakes: [string, () => unknown, string[]][] = [
  ['add', () => add(v(2, 3), v(4, 3)), ['[2, 3]', '[4, 3]', '2 against 4']],
  ['add', () => add(v('tokens', 3), v('keys', 3)), ['[tokens, 3]', '[keys, 3]', 'tokens against keys']],
  ['sub', () => sub(v(2), v(5, 3)), ['[2]', '[5, 3]']],
  ['mul', () => mul(v('tokens'), v(3)), ['[tokens]', '[3]']],
  ['matmul', () => matmul(v('n', 3), v(4, 5)), ['[n, 3] x [4, 5]', '3 and 4']],
  ['matmul', () => matmul(v('n', 3), v(3, 5), { transA: true, transB: true }), ['[n, 3]ᵀ x [3, 5]ᵀ', 'n and 5']],
  ['matmul', () => matmul(v(3), v(3, 5)), ['[3] x [3, 5]', 'two axes']],
  ['matmul', () => matmul(v(2, 4, 3), v(5, 3, 4)), ['[2]', '[5]', '2 against 5']],
  ['softmaxMatmul', () => softmaxMatmul(v(2, 'q', 'k'), v(2, 'n', 3)), ['[2, q, k] x [2, n, 3]', 'k and n']],
  ['addmm', () => addmm(v(2, 5), v(2, 3), v(3, 4)), ['[2, 5]', '[2, 4]']],
  ['addmm', () => addmm(v(7, 2, 4), v(7, 2, 3), v(3, 4)), ['[7, 2, 4]']],
  ['int8Linear', () => int8Linear(v('n', 3), matrix(4, 5, 5)), ['[n, 3]', '[4, 5]']],
  ['int8Linear', () => int8Linear(v('n', 4), matrix(4, 5, 6)), ['[6]', '[4, 5]']],
  [
    'int8Linear',
    () => int8Linear(v('n', 4), matrix(4, 5, 5), { backward: { int8: matrix(4, 5, 5) } }),
    ['backward weight [4, 5]', 'a product [4, 5]'],
  ],
  ['quantizeRows', () => quantizeRows(v(2, 3, 4)), ['[2, 3, 4]']],
  ['dequantizeRows', () => dequantizeRows(matrix('n', 4, 4).w, v(4)), ['[4]', '[n, 4]']],
  ['quantizeBlocks4', () => quantizeBlocks4(v(4, 40), 16), ['[4, 40]', 'blocks of 16']],
  ['quantizeBlocks4', () => quantizeBlocks4(v(3, 32), 16), ['[3, 32]', 'two rows in a byte']],
  [
    'expandBlocks4',
    () => expandBlocks4({ packed: input('p', [2, 32], 'uint8'), scale: v(4, 2), offset: v(4, 4) }),
    ['[2, 32]', '[4, 2]', '[4, 4]'],
  ],
  ['quantizeInt4', () => quantizeInt4(v(40, 6), 16), ['[40, 6]', 'blocks of 16']],
  ['quantizeInt4', () => quantizeInt4(v(5, 6), 5), ['[5, 6]', 'two rows in a byte']],
  ['unpackInt4', () => unpackInt4(v(8, 6), v(2, 5)), ['[8, 6]', '[2, 5]']],
  ['unpackInt4', () => unpackInt4(v(8, 6), v(3, 6)), ['[8, 6]', '[3, 6]']],
  ['nf4Linear', () => nf4Linear(v('n', 5), nf4(8, 6, 64)), ['[n, 5]', '[8, 6]']],
  ['nf4Linear', () => nf4Linear(v('n', 6), nf4(8, 6, 48)), ['blocks of 48']],
  ['expandNf4', () => expandNf4({ ...nf4(8, 6, 16), out: 9 }), ['codes [24], scales [3]', '[9, 6]', '27 and 4']],
  ['reshape', () => reshape(v(2, 3), [2, 4]), ['[2, 3]', '[2, 4]']],
  ['reshape', () => reshape(v('a', 3), ['b', 3]), ['[a, 3]', '[b, 3]']],
  ['reshape', () => reshape(v('a', 4), ['2*a', 4]), ['[a, 4]', '[2*a, 4]']],
  ['transpose', () => transpose(v(2, 3), [0, 0]), ['[0, 0]', '[2, 3]']],
  ['transpose', () => transpose(v(2, 3), [0, 1, 2]), ['[0, 1, 2]', '[2, 3]']],
  ['split', () => split(v('n', 6), [2, 3]), ['[2, 3]', '[n, 6]']],
  ['concat', () => concat([v(2, 'n'), v(3, 'n')], 1), ['[2, n]', '[3, n]', 'axis 1']],
  ['concat', () => concat([v(2, 3), v(2, 3, 1)], 0), ['[2, 3]', '[2, 3, 1]']],
  ['concat', () => concat([v(2, 3), v(2, 3)], 2), ['[2, 3]', 'axis 2']],
  ['reduceSum', () => reduceSum(v(2, 3), [2]), ['[2]', '[2, 3]']],
  ['reduceSum', () => reduceSum(v(2, 3), [-3]), ['[-3]', '[2, 3]']],
  ['gatherRows', () => gatherRows(v(2, 3), v(4, 1)), ['[2, 3]', '[4, 1]']],
  ['repeatRows', () => repeatRows(v('n', 3), v('m'), repetition('tokens', 'shared')), ['[n, 3]', '[tokens]']],
  ['sumRepeated', () => sumRepeated(v('m', 3), repetition('n', 2)), ['[copies, shared]', '[copies, 2, 1]']],
  ['scatterRows', () => scatterRows(v(2, 3), v(2), v('n', 4)), ['[2, 3]', '[2]', '[n, 4]']],
  ['scatterRows', () => scatterRows(v(2, 3), v(5), v('n', 3)), ['[2, 3]', '[5]', '[n, 3]']],
  ['causalMask', () => causalMask(v(2), v(3, 1)), ['[2]', '[3, 1]']],
  ['rmsNorm', () => rmsNorm(v('n', 4), v(5), 1e-5), ['[5]', '[n, 4]']],
  ['rotary', () => rotary(v('n', 6), v(1, 'n'), v('p', 2), v('p', 2)), ['[n, 6]', '[p, 2]']],
  ['rotary', () => rotary(v('n', 4), v(1, 'n'), v('p', 2), v('p', 1)), ['[p, 2]', '[p, 1]']],
  ['rotary', () => rotary(v('n', 4), v(1, 'm'), v('p', 2), v('p', 2)), ['[n, 4]', '[1, m]']],
  ['crossEntropy', () => crossEntropy(v('n', 9), v('n'), v('n', 1)), ['[n, 9]', '[n]', '[n, 1]']],
  ['headGrad', () => headGrad(v('n', 9), v('n', 1), v('m', 1), headRows(9, 9), 3), ['[n, 9]', '[m, 1]']],
  ['headGrad', () => headGrad(v('n', 9), v('n', 1), v('n', 1), headRows(9, 8), 3), ['[9, 4]', '[8]']],
  ['headGrad', () => headGrad(v('n', 9), v('n', 1), v('n', 1), headRows(9, 9), 10), ['10 columns of 9']],
  ['crossEntropyGrad', () => crossEntropyGrad(v('n', 9), v('n', 1), v('m', 1)), ['[n, 9]', '[n, 1]', '[m, 1]']],
  ['rotateBlocks', () => rotateBlocks(v('n', 6), v(4, 4)), ['[n, 6]', '[4, 4]']],
  ['embedTokens', () => embedTokens(v(9), v('n', 1)), ['[9]', '[n, 1]']],
  ['embedTokens', () => embedTokens(v(9, 4), v('n')), ['[9, 4]', '[n]']],
  ['joinRows', () => joinRows(v('n', 4)), ['[n, 4]', 'three axes']],
  ['splitRows', () => splitRows(v(2, 3, 4), v(2, 3)), ['[2, 3, 4] like [2, 3]']],
  ['splitRows', () => splitRows(v(6, 4), v(6)), ['[6, 4] like [6]']],
  ['nBitsLinear', () => nBitsLinear(v('n', 64), nBits({})), ['[n, 64] x [6, 72]ᵀ', '3 blocks of 32']],
  ['nBitsLinear', () => nBitsLinear(v('n', 72), nBits({ scales: [6, 2] })), ['[n, 72] x [6, 72]ᵀ', '2 blocks of 32']],
  ['nBitsLinear', () => nBitsLinear(v('n', 72), nBits({ codes: [6, 3, 32] })), ['[6, 3, 32]', '[6, 2]', '[6, 3]']],
  ['nBitsLinear', () => nBitsLinear(v('n', 72), nBits({ codes: [5, 3, 16] })), ['[5, 3, 16]', '[6, 2]', '[6, 3]']],
  ['nBitsLinear', () => nBitsLinear(v('n', 72), nBits({ zeroPoints: [6, 3] })), ['[6, 3, 16]', 'zero points [6, 3]']],
  [
    'nBitsLinear',
    () => nBitsLinear(v('n', 72), nBits({ bits: 8, codes: [6, 3, 32] })),
    ['[6, 3, 32]', 'zero points [6, 2]'],
  ],
  ['nBitsLinear', () => nBitsLinear(v('n', 72), nBits({}), { fine: true }), ['[n, 72] x [6, 72]']],
  ['nBitsLinear', () => nBitsLinear(v('n', 1, 72), nBits({}), { fine: true }), ['[n, 1, 72]', 'blocks of 32']],
  ['nBitsLinear', () => nBitsLinear(v('n', 1, 72), { ...nBits({}), means: true }), ['[n, 1, 72]', 'means too']],
  ['cachedAttention', () => attend({ qkv: [['n', 1, 96]] }), ['[n, 1, 96]', '4 heads', '[n, 2, 9, 16]']],
  ['cachedAttention', () => attend({ qkv: [['n', 128]] }), ['[n, 128]', '4 heads']],
  [
    'cachedAttention',
    () => attend({ qkv: [['n', 1, 64], ['n', 1, 32], ['n', 1, 64]] }), // biome-ignore format: one idea
    ['[n, 1, 64], [n, 1, 32], [n, 1, 64]', '4 heads'],
  ],
  ['cachedAttention', () => attend({ pastK: ['n', 4, 9, 16], pastV: ['n', 4, 9, 16] }), ['[n, 4, 9, 16]']],
  ['cachedAttention', () => attend({ pastV: ['n', 2, 8, 16] }), ['past [n, 2, 9, 16] and [n, 2, 8, 16]']],
  ['cachedAttention', () => attend({ lastKey: [1] }), ['lastKey [1]']],
  ['cachedAttention', () => attend({ lastKey: ['n', 1] }), ['lastKey [n, 1]']],
  ['cachedAttention', () => attend({ scales: [32] }), ['past float32 with scales [32], [32]']],
  [
    'cachedAttention',
    () => attend({ scales: [16], dtype: 'int8' }),
    ['past int8 with scales [16], [16] for 32 columns'],
  ],
  ['cachedAttention', () => attend({ dtype: 'int8' }), ['past int8 with scales  for 32 columns']],
  ['topK', () => topK(v('n', 9), 10), ['10 of [n, 9]']],
  ['topK', () => topK(v('n', 9), 0), ['0 of [n, 9]']],
  ['topK', () => topK(v(9), 2), ['2 of [9]']],
  ['logSumExp', () => logSumExp(v(2, 3, 4)), ['[2, 3, 4]', 'two axes']],
  [
    'adjustLogits',
    () => adjustLogits(v('n', 9), v('n', 2), v('n', 2), v('n', 1)),
    ['[n, 9]', '[n, 2], [n, 2], [n, 1]'],
  ],
  ['adjustLogits', () => adjustLogits(v('n', 9), v('n', 2), v(2), v('n', 2)), ['[n, 9]', '[n, 2], [2], [n, 2]']],
  ['adjustLogits', () => adjustLogits(v('n', 9), v(1, 2), v(1, 2), v(1, 2)), ['[n, 9]', '[1, 2], [1, 2], [1, 2]']],
];

describe('shape errors', () => {
  it.each(mistakes.map((m, i) => [m[0], i, m[1], m[2]] as const))('%s (%i)', (op, _i, call, parts) => {
    let error: unknown;
    try {
      call();
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ShapeError);
    const { message } = error as ShapeError;
    expect(message).toMatch(new RegExp(`^${op}: `));
    for (const part of parts) expect(message).toContain(part);
  });

  it('every op that can be given shapes that disagree is among the mistakes', () => {
    const anyShape = ['scalar', 'sigmoid', 'silu', 'softmax', 'toFloat'];
    const tested = new Set(mistakes.map(([op]) => op));
    expect(opNames.filter((op) => !tested.has(op) && !anyShape.includes(op))).toEqual([]);
  });
});

describe('shapes of results', () => {
  it('broadcast as in numpy, symbols included', () => {
    expect(add(v('n', 1, 3), v(4, 3)).shape).toEqual(['n', 4, 3]);
    expect(mul(v(1), v('n')).shape).toEqual(['n']);
    expect(sub(scalar(1), v(2, 'n')).shape).toEqual([2, 'n']);
    expect(broadcast('op', ['n', 1], [1, 'm'])).toEqual(['n', 'm']);
  });

  it('products', () => {
    expect(matmul(v(2, 1, 'n', 3), v(5, 'm', 3), { transB: true }).shape).toEqual([2, 5, 'n', 'm']);
    expect(addmm(v('n', 4), v(3, 'n'), v(4, 3), { transA: true, transB: true }).shape).toEqual(['n', 4]);
    expect(int8Linear(v('n', 4), matrix(4, 5, 5)).shape).toEqual(['n', 5]);
  });

  it('layout', () => {
    expect(reshape(v('n', 8), ['n', 2, 4]).shape).toEqual(['n', 2, 4]);
    expect(reshape(v('n', 2, 4), ['2*n', 4]).shape).toEqual(['2*n', 4]);
    expect(reshape(v('2*n', 4), [2, 'n', 4]).shape).toEqual([2, 'n', 4]);
    expect(reshape(v(2, 'past+tokens'), [scaleDim('past+tokens', 2)]).shape).toEqual(['2*past+2*tokens']);
    expect(transpose(v('a', 2, 'b'), [2, 0, 1]).shape).toEqual(['b', 'a', 2]);
    expect(split(v('n', 6), [1, 2, 3]).map((p) => p.shape)).toEqual([
      ['n', 1],
      ['n', 2],
      ['n', 3],
    ]);
    expect(concat([v('past', 4), v('tokens', 4)], 0).shape).toEqual(['past+tokens', 4]);
    expect(concat([v('n', 4), v('n', 4), v(1, 4)], -2).shape).toEqual(['2*n+1', 4]);
    expect(reduceSum(v('n', 2, 3), [0, -1]).shape).toEqual([1, 2, 1]);
    expect(reduceSum(v('n', 2, 3), [0, -1], false).shape).toEqual([2]);
  });

  it('keeps the type of what is only moved', () => {
    const codes = input('codes', [4, 2], 'int8');
    const moved = [reshape(codes, [8]), transpose(codes, [1, 0]), split(codes, [1, 1])[1]!, concat([codes, codes], 0)];
    expect(moved.map((m) => m.dtype)).toEqual(['int8', 'int8', 'int8', 'int8']);
  });

  it('makes no node for what changes nothing', () => {
    const x = v('n', 4);
    expect([reshape(x, ['n', 4]), split(x, [4])[0], concat([x], 0), reduceSum(x, [])]).toEqual([x, x, x, x]);
  });

  it('rotateBlocks keeps the shape, whatever its rows are called', () => {
    for (const rows of [3, 'n', 'past+tokens', '2*n']) {
      expect(rotateBlocks(v(rows, 8), v(2, 2)).shape).toEqual([rows, 8]);
      expect(rotateBlocks(v(rows, 4), v(4, 4)).shape).toEqual([rows, 4]);
    }
  });

  it('of generation', () => {
    const half = input('half', [9, 4], 'float16');
    expect([toFloat(half).shape, toFloat(half).dtype]).toEqual([[9, 4], 'float32']);
    expect([embedTokens(half, v('n', 'm')).shape, embedTokens(half, v('n', 'm')).dtype]).toEqual([
      ['n', 'm', 4],
      'float32',
    ]);
    expect(joinRows(v('n', 'm', 4)).shape).toEqual(['rows', 4]);
    expect(splitRows(v('rows', 4), v('n', 'm', 9)).shape).toEqual(['n', 'm', 4]);
    expect([joinRows(input('codes', [2, 3, 4], 'int8')), splitRows(half, v(3, 3))].map((x) => x.dtype)).toEqual([
      'int8',
      'float16',
    ]);
    expect(nBitsLinear(v('n', 'm', 72), nBits({})).shape).toEqual(['n', 'm', 6]);
    expect(nBitsLinear(v('n', 72), nBits({})).shape).toEqual(['n', 6]);
    expect(nBitsLinear(v('n', 1, 64), { ...nBits({}), in: 66, means: true }).shape).toEqual(['n', 1, 6]);
    const { y, k, v: values } = attend({});
    expect([y.shape, k.shape, values.shape]).toEqual([
      ['n', 1, 64],
      ['n', 2, 9, 16],
      ['n', 2, 9, 16],
    ]);
    const best = topK(v('n', 9), 3);
    expect([best.values.shape, best.values.dtype, best.indices.shape, best.indices.dtype]).toEqual([
      ['n', 3],
      'float32',
      ['n', 3],
      'int64',
    ]);
    expect(logSumExp(v('n', 9)).shape).toEqual(['n', 1]);
    expect(adjustLogits(v('n', 9), v('n', 2), v('n', 2), v('n', 2)).shape).toEqual(['n', 9]);
  });

  it('second results', () => {
    const { y, inv } = rmsNorm(v('n', 2, 8), undefined, 1e-5);
    expect([y.shape, inv.shape]).toEqual([
      ['n', 2, 8],
      ['n', 2, 1],
    ]);
    const { codes, scale } = quantizeRows(v('n', 8));
    expect([codes.shape, codes.dtype, scale.shape]).toEqual([['n', 8], 'int8', ['n']]);
    const { loss, probs } = crossEntropy(v('n', 9), v('n', 1), v('n', 1));
    expect([loss.shape, probs.shape]).toEqual([[], ['n', 9]]);
    expect(softmax(v('n', 9)).shape).toEqual(['n', 9]);
    expect(causalMask(v('q'), v('k')).shape).toEqual(['q', 'k']);
  });
});

describe('symbolic sizes', () => {
  it('are added in a readable form', () => {
    expect(addDims([2, 3])).toBe(5);
    expect(addDims(['past', 'tokens'])).toBe('past+tokens');
    expect(addDims(['n', 'n', 'n'])).toBe('3*n');
    expect(addDims(['n', 2, 'm', 1])).toBe('n+m+3');
    expect(addDims(['2*n', 'n'])).toBe('3*n');
    expect(addDims(['n+1', 'n+1'])).toBe('2*n+2');
    expect(addDims([])).toBe(0);
  });

  it('are multiplied term by term', () => {
    expect(scaleDim(4, 3)).toBe(12);
    expect(scaleDim('n', 1)).toBe('n');
    expect(scaleDim('n', 3)).toBe('3*n');
    expect(scaleDim('2*n', 3)).toBe('6*n');
    expect(scaleDim('past+tokens', 2)).toBe('2*past+2*tokens');
    expect(scaleDim('n', 0)).toBe(0);
  });

  it('become numbers', () => {
    const sizes = { n: 5, past: 7, tokens: 2 };
    expect(resolveShape(['n', 3, '2*n', 'past+tokens', '2*past+n+4'], sizes)).toEqual([5, 3, 10, 9, 23]);
    expect(() => resolveDim('2*unknown', sizes)).toThrow('internal: no size for unknown in 2*unknown');
    expect(resolveDim('n', { n: 0 })).toBe(0);
  });

  const sizes = { a: 3, b: 5, c2: 11 };
  const leaf = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('a', 'b', 'c2'));
  /** A size put together by any sums and products, and the number it stands for. */
  const { dim } = fc.letrec<{ dim: { dim: Dim; value: number } }>((tie) => ({
    dim: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf.map((d) => ({ dim: d, value: typeof d === 'number' ? d : sizes[d as keyof typeof sizes] })),
      fc.array(tie('dim'), { minLength: 1, maxLength: 3 }).map((parts) => ({
        dim: addDims(parts.map((p) => p.dim)),
        value: parts.reduce((sum, p) => sum + p.value, 0),
      })),
      fc
        .tuple(tie('dim'), fc.integer({ min: 0, max: 3 }))
        .map(([p, factor]) => ({ dim: scaleDim(p.dim, factor), value: p.value * factor })),
    ),
  }));

  it('stand for the right number however they were put together', () => {
    fc.assert(
      fc.property(dim, (d) => {
        expect(resolveDim(d.dim, sizes)).toBe(d.value);
      }),
    );
  });

  it('elements do not depend on order or on which axis holds a factor', () => {
    expect(elements([2, 'n', 3])).toEqual(elements(['3*n', 2]));
    expect(elements(['a', 'b'])).toEqual(elements(['b', 'a']));
    expect(elements(['a+b'])).toEqual(elements(['b+a']));
    expect(elements(['a', 'a'])).not.toEqual(elements(['a']));
    expect(elements(['a+b', 2])).toEqual(elements(['2*a+2*b']));
    expect(elements(['2*a+b'])).not.toEqual(elements([2, 'a+b']));
    expect(elements([])).toEqual({ fixed: 1, symbols: '' });
    fc.assert(
      fc.property(fc.array(dim, { maxLength: 3 }), fc.integer({ min: 1, max: 4 }), (dims, factor) => {
        const shape: Shape = dims.map((d) => d.dim);
        expect(elements([...shape, factor])).toEqual(elements([factor, ...shape.toReversed()]));
        if (shape.length > 0) {
          expect(elements([scaleDim(shape[0]!, factor), ...shape.slice(1)])).toEqual(elements([...shape, factor]));
        }
      }),
    );
  });

  it('reducedAxes names what a broadcast added', () => {
    expect(reducedAxes(['n', 4, 3], [4, 1])).toEqual([0, 2]);
    expect(reducedAxes(['n', 3], ['n', 3])).toEqual([]);
    expect(reducedAxes([1, 3], [1, 3])).toEqual([]);
    expect(() => reducedAxes([3], [1, 3])).toThrow('internal: cannot reduce [3] to [1, 3]');
  });
});
