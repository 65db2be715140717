// Every row of the gradient table against central differences in float64.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import { grad, gradients, input, inputName, notDifferentiable } from '../../../src/graph/index.ts';
import { dot, numericalGradient, slope } from '../../helpers/centralDifferences.ts';
import { opNames } from '../../helpers/opNames.ts';
import { evaluate } from '../../helpers/referenceEvaluator.ts';
import { randomTensor } from '../../helpers/tensor.ts';
import { type GradientCase, gradientCases } from './gradientCases.ts';

const ops = opNames.filter((op) => op !== 'scalar');

/** Its gradient is a definition, not a derivative: see int8Linear.test.ts. */
const straightThrough = new Set(['int8Linear']);

/** Relative error, with a floor for what differences of numbers of this size can resolve. */
function expectClose(actual: number, expected: number, magnitude: number, what: string): void {
  const allowed = 1e-5 * Math.max(Math.abs(expected), 1e-3 * (1 + magnitude));
  expect(Math.abs(actual - expected), `${what}: ${actual} against ${expected}`).toBeLessThanOrEqual(allowed);
}

function checkGradient({ outputs, feeds, wrt }: GradientCase, seed: number): void {
  const { uniform } = createRng(seed);
  const seeds = evaluate(outputs, feeds).map((t) => randomTensor(t.shape, uniform));
  const seeded = outputs.map((value, i) => ({ value, seed: input(`seed${i}`, value.shape) }));
  const named = Object.fromEntries(seeds.map((t, i) => [`seed${i}`, t]));
  const made = grad(seeded, wrt);
  expect([...made.keys()]).toEqual(wrt);
  const grads = evaluate([...made.values()], { ...feeds, ...named });

  const directions = Object.fromEntries(
    wrt.map((v) => [inputName(v), randomTensor(feeds[inputName(v)]!.shape, uniform)]),
  );
  const along = wrt.reduce((sum, v, i) => sum + dot(grads[i]!, directions[inputName(v)]!), 0);
  const magnitude = Math.max(...grads.flatMap((g) => g.data.map(Math.abs)));
  expectClose(along, slope(outputs, seeds, feeds, directions), magnitude, 'along a random direction');
  wrt.forEach((v, i) => {
    expect(grads[i]!.shape).toEqual(feeds[inputName(v)]!.shape);
    numericalGradient(outputs, seeds, feeds, v).forEach((n, k) => {
      expectClose(grads[i]!.data[k]!, n, magnitude, `${inputName(v)}[${k}]`);
    });
  });
}

describe('gradients', () => {
  for (const op of Object.keys(gradients)) {
    if (straightThrough.has(op)) continue;
    it(`${op} agrees with central differences`, () => {
      const cases = gradientCases[op];
      if (!cases) throw new Error(`add a case for ${op} to gradientCases.ts`);
      // One seed: near a pole (a norm of almost nothing) differences are the inexact side, once in some thousand cases.
      fc.assert(fc.property(cases, fc.integer(), checkGradient), { seed: 11, numRuns: 60 });
    });
  }

  it('every op has a gradient or is known to have none', () => {
    expect(ops.length).toBeGreaterThan(20);
    const known = [...Object.keys(gradients), ...notDifferentiable].sort();
    expect([...ops].sort()).toEqual(known);
    expect(new Set(known).size).toBe(known.length);
  });

  it('every case and every exception belongs to a row', () => {
    expect([...Object.keys(gradientCases), ...straightThrough].sort()).toEqual(Object.keys(gradients).sort());
  });
});
