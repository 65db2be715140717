// Four bits: what a round trip loses, and that codes stay in their range.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { input, int4Steps, quantizeInt4, unpackInt4 } from '../../../src/graph/index.ts';
import { moduleNames, moduleShape } from '../../../src/models/index.ts';
import { basisOf, w4a8BlockFor } from '../../../src/quant/index.ts';
import { oddWidths as config } from '../../helpers/oddWidths.ts';
import { evaluate } from '../../helpers/referenceEvaluator.ts';
import { at, build, type Tensor } from '../../helpers/tensor.ts';

/** Quantised and unpacked again: the codes, their scales, the matrix that they stand for, and the steps. */
function roundTrip(x: Tensor, block: number) {
  const [rows, out] = x.shape as [number, number];
  const { packed, steps, scale } = quantizeInt4(input('x', [rows, out]), block);
  const made = evaluate([unpackInt4(packed, steps), scale, steps, packed], { x });
  const [codes, scales, heldSteps, bytes] = made as [Tensor, Tensor, Tensor, Tensor];
  return { codes, steps: heldSteps, bytes, matrix: build(x.shape, ([i, o]) => at(codes, [i!, o!]) * scales.data[o!]!) };
}

function normal(shape: number[], seed: number): Tensor {
  const { uniform } = createRng(seed);
  return build(shape, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

const error = (a: Tensor, b: Tensor) => {
  const sum = (f: (i: number) => number) => a.data.reduce((total, _, i) => total + f(i), 0);
  return Math.sqrt(sum((i) => (a.data[i]! - b.data[i]!) ** 2) / sum((i) => b.data[i]! ** 2));
};

describe('quantizeInt4', () => {
  it.each([
    [16, 0.08],
    [32, 0.089],
    [64, 0.097],
  ])('loses little of normally distributed weights in blocks of %i', (block, most) => {
    const x = normal([512, 40], block);
    const lost = error(roundTrip(x, block).matrix, x);
    expect(lost).toBeLessThan(most);
    expect(lost).toBeGreaterThan(0.06);
  });

  it('makes codes of 8 bits from whole steps, whatever it is given', () => {
    const values = fc.oneof(fc.double({ min: -1e3, max: 1e3, noNaN: true }), fc.constantFrom(0, 1e-35, -1e20, 1));
    fc.assert(
      fc.property(fc.constantFrom(2, 4), fc.array(values, { minLength: 24, maxLength: 24 }), (block, data) => {
        const { codes, steps, bytes } = roundTrip({ shape: [8, 3], data }, block);
        for (const s of steps.data) expect(Math.abs(s) >= 1 && Math.abs(s) <= int4Steps && s % 1 === 0).toBe(true);
        for (const c of codes.data) expect(Math.abs(c)).toBeLessThanOrEqual(8 * int4Steps);
        for (const b of bytes.data) expect(b >= 0 && b < 256 && b % 1 === 0).toBe(true);
      }),
    );
  });

  it('is off by no more than two steps of a block', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const x = normal([16, 2], seed);
        const { matrix } = roundTrip(x, 8);
        const peak = (o: number) => Math.max(...x.data.filter((_, k) => k % 2 === o).map(Math.abs));
        matrix.data.forEach((v, k) => {
          expect(Math.abs(v - x.data[k]!)).toBeLessThanOrEqual(peak(k % 2) / 4);
        });
      }),
    );
  });

  it('keeps a column of zeros, and one that fits its levels', () => {
    const x = build([16, 2], ([i, o]) => (o === 0 ? 0 : i! - 8));
    const { matrix } = roundTrip(x, 16);
    matrix.data.forEach((v, k) => {
      expect(v).toBeCloseTo(x.data[k]!, 12);
    });
  });
});

describe('the basis', () => {
  it('is that of int8 for adapters of v, o and down, and the plain one where the norm is restored', () => {
    const [eight, four] = [basisOf('int8', config), basisOf('w4a8', config)];
    expect(four.residual).toEqual(eight.residual);
    for (const m of moduleNames) expect(four.modules[m].output).toEqual(eight.modules[m].output);
    for (const m of ['o_proj', 'down_proj'] as const) expect(four.modules[m].input).toEqual(eight.modules[m].input);
    for (const m of ['q_proj', 'k_proj', 'v_proj', 'gate_proj', 'up_proj'] as const) {
      const { foldsNorm, restoresNorm, peak } = four.modules[m];
      expect({ foldsNorm, restoresNorm, peak }).toEqual({ foldsNorm: false, restoresNorm: true, peak: 0 });
    }
  });

  it('rotates either gradients or outputs, and outputs only where gradients are asked for', () => {
    const rotated = (basis: ReturnType<typeof basisOf>) =>
      moduleNames.map((m) => [basis.modules[m].rotateGrad, basis.modules[m].rotateOutput]);
    const two = rotated(basisOf('int8', config));
    const swapped = two.map(([grad, output]) => [output, grad]);
    expect(two.some(([grad]) => grad! > 1)).toBe(true);
    expect(rotated(basisOf('int8', config, { oneCopy: true }))).toEqual(swapped);
    expect(rotated(basisOf('w4a8', config))).toEqual(swapped);
    expect(
      rotated(basisOf('w4a8', config, { training: false }))
        .flat()
        .every((b) => b === 1),
    ).toBe(true);
  });

  it('has blocks that divide every width', () => {
    for (const m of moduleNames) {
      const { in: width, out } = moduleShape(config, m);
      const { rotateInput, rotateOutput } = basisOf('w4a8', config).modules[m];
      for (const block of [w4a8BlockFor(width), rotateInput]) expect(width % block).toBe(0);
      expect(out % rotateOutput).toBe(0);
    }
    expect([12, 48, 160, 4096].map(w4a8BlockFor)).toEqual([4, 16, 16, 16]);
  });
});
