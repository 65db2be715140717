// Rotations must be orthonormal, symmetric and their own inverse: that is why weights, adapters and gradients may be
// moved into a basis and back at will.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import {
  basisOf,
  noRotation,
  type Rotation,
  rotateColumns,
  rotateRows,
  rotates,
  rotationMatrices,
} from '../../../src/quant/index.ts';
import { oddWidths as config } from '../../helpers/oddWidths.ts';

const noise = (length: number, seed: number) => {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => 2 * rng.uniform() - 1);
};
const largest = (a: Float32Array, b: Float32Array) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

/** The matrix of a rotation of one group: what it makes of the unit vectors. */
function matrixOf(r: Rotation): { n: number; m: Float32Array } {
  const n = r.block * r.across;
  const m = new Float32Array(n * n);
  for (let i = 0; i < n; i++) m[i * n + i] = 1;
  rotateRows(m, n, n, r);
  return { n, m };
}

function expectInvolution(n: number, m: Float32Array): void {
  let worst = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let dot = 0;
      for (let k = 0; k < n; k++) dot += m[i * n + k]! * m[k * n + j]!;
      worst = Math.max(worst, Math.abs(m[i * n + j]! - m[j * n + i]!), Math.abs(dot - (i === j ? 1 : 0)));
    }
  }
  expect(worst).toBeLessThan(1e-5);
}

const rotations: Rotation[] = [
  noRotation,
  { block: 2, across: 1 },
  { block: 64, across: 1 },
  { block: 1, across: 3 },
  { block: 16, across: 3 },
  { block: 16, across: 6 },
  { block: 32, across: 5 },
  { block: 64, across: 4 },
];

it.each(rotations)('block $block across $across is symmetric, orthonormal and its own inverse', (r) => {
  const { n, m } = matrixOf(r);
  expectInvolution(n, m);
});

it.each([3, 4, 6])('across %i mixes everything in a group, and nothing between groups', (across) => {
  const r = { block: 8, across };
  const n = 8 * across;
  const x = new Float32Array(3 * n);
  x[n + 5] = 1;
  rotateRows(x, 1, 3 * n, r);
  expect(x.subarray(0, n).some((v) => v !== 0)).toBe(false);
  expect(x.subarray(n, 2 * n).every((v) => v !== 0)).toBe(true);
  expect(x.subarray(2 * n).some((v) => v !== 0)).toBe(false);
});

it('spreads one outlier evenly over a block', () => {
  const x = new Float32Array(64);
  x[17] = 8;
  rotateRows(x, 1, 64, { block: 64, across: 1 });
  expect(new Set(x.map(Math.abs))).toEqual(new Set([1]));
});

it('leaves data alone when there is nothing to rotate', () => {
  expect(rotates(noRotation)).toBe(false);
  const x = noise(12, 1);
  const y = x.slice();
  rotateRows(y, 3, 4, noRotation);
  rotateColumns(y, 3, 4, noRotation);
  expect(y).toEqual(x);
});

it('keeps lengths and is undone by itself; columns are the rows of the transpose', () => {
  const shapes = fc.record({
    lines: fc.integer({ min: 1, max: 5 }),
    groups: fc.integer({ min: 1, max: 3 }),
    r: fc.constantFrom(...rotations),
    seed: fc.nat(1e6),
  });
  const size = (v: Float32Array) => Math.sqrt(v.reduce((sum, e) => sum + e * e, 0));
  const transposed = (v: Float32Array, rows: number) =>
    Float32Array.from(v, (_, i) => v[(i % rows) * (v.length / rows) + Math.floor(i / rows)]!);
  fc.assert(
    fc.property(shapes, ({ lines, groups, r, seed }) => {
      const long = groups * r.block * r.across;
      const x = noise(lines * long, seed);
      const y = x.slice();
      rotateRows(y, lines, long, r);
      const columns = transposed(x, lines);
      rotateColumns(columns, long, lines, r);
      expect(largest(transposed(columns, long), y)).toBeLessThan(1e-5);
      expect(size(y)).toBeCloseTo(size(x), 3);
      rotateRows(y, lines, long, r);
      expect(largest(y, x)).toBeLessThan(1e-5);
    }),
    { numRuns: 40 },
  );
});

describe('the matrices that go to the device', () => {
  it('are involutions too, in int8', () => {
    const matrices = rotationMatrices(basisOf('int8', config));
    expect(matrices.size).toBeGreaterThan(0);
    for (const { size, data } of matrices.values()) {
      expect(data).toHaveLength(size * size);
      expectInvolution(size, data);
    }
  });

  it.each([48, 128, 384])('together make the same rotation of %i columns as the host does', (hiddenSize) => {
    const basis = basisOf('int8', { ...config, hiddenSize });
    const { block, across } = basis.residual;
    const matrices = rotationMatrices(basis);
    const within = matrices.get(`rotation${block}`)!.data;
    const between = matrices.get(`across${across}`)!.data;
    const { n, m } = matrixOf(basis.residual);
    const product = Float32Array.from({ length: n * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      const blocks = between[Math.floor(i / block) * across + Math.floor(j / block)]!;
      return blocks * within[(i % block) * block + (j % block)]!;
    });
    expect(largest(product, m)).toBeLessThan(1e-6);
  });

  it('are none in fp32', () => {
    expect(rotationMatrices(basisOf('fp32', config)).size).toBe(0);
  });

  it('divide every width that they rotate', () => {
    const { residual, modules } = basisOf('int8', config);
    const divides = (r: Rotation, width: number) => width % (r.block * r.across) === 0;
    expect(divides(residual, 48)).toBe(true);
    expect(divides(modules.o_proj.input, 6 * 16)).toBe(true);
    expect(160 % modules.down_proj.rotateInput).toBe(0);
    expect(16 % modules.k_proj.rotateGrad).toBe(0);
    expect(160 % modules.up_proj.rotateGrad).toBe(0);
  });
});
