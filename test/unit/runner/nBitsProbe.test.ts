// What is done on machines whose kernels for 4 and 8 bits are wrong: a runtime that spoils their results stands for them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../../src/engine/index.ts';
import { planBodies } from '../../../src/runner/decodePlan.ts';
import { probeNBits } from '../../../src/runner/nBitsProbe.ts';
import { spoilt as spoiltOf } from '../../helpers/spoiltRuntime.ts';
import { startRuntime } from '../../helpers/tinyRun.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

const spoilt = (bits: 4 | 8, wrong: (rows: number) => boolean, made: (y: number, i: number) => number) =>
  spoiltOf(runtime, bits, wrong, made);

describe('the probe', () => {
  it.each([4, 8] as const)('finds the kernels of this machine right in %i bits', async (bits) => {
    const health = await probeNBits(runtime, bits);
    expect(health.several).toBe(true);
    // A single row is wrong in 4 bits where there is AVX2 but no AVX-512.
    if (bits === 8) expect(health.one).toBe(true);
  });

  it('leaves nothing on the device', async () => {
    let held = 0;
    const counting: Runtime = {
      ...runtime,
      alloc: (...a) => {
        held++;
        return runtime.alloc(...a);
      },
      free: (b) => {
        held--;
        runtime.free(b);
      },
      compile: (...a) => {
        held++;
        return runtime.compile(...a);
      },
      release: (p) => {
        held--;
        runtime.release(p);
      },
    };
    await probeNBits(counting, 4);
    expect(held).toBe(0);
  });

  it.each([4, 8] as const)('tells one row from several in %i bits', async (bits) => {
    const { one } = await probeNBits(runtime, bits);
    const half = (y: number) => 0.54 * y;
    expect(
      await probeNBits(
        spoilt(bits, (n) => n === 1, half),
        bits,
      ),
    ).toEqual({ one: false, several: true });
    expect(
      await probeNBits(
        spoilt(bits, (n) => n > 1, half),
        bits,
      ),
    ).toEqual({ one, several: false });
    expect(
      await probeNBits(
        spoilt(bits, (n) => n === 3, half),
        bits,
      ),
    ).toEqual({ one, several: false });
  });

  it.each([
    ['a sum that was cut', (y: number) => Math.min(y, 80), false],
    ['not a number', () => Number.NaN, false],
    ['one column, off by a half', (y: number, i: number) => (i === 21 ? y / 2 : y), false],
    ['rounding to 8 bits', (y: number, i: number) => y * (i % 2 ? 1.01 : 0.99), true],
  ] as const)('on %s', async (_what, made, right) => {
    expect(
      (
        await probeNBits(
          spoilt(8, () => true, made),
          8,
        )
      ).one,
    ).toBe(right);
  });

  it('takes little time', async () => {
    const begin = performance.now();
    await probeNBits(runtime, 4);
    await probeNBits(runtime, 8);
    // About 10 ms on a machine with nothing else to do.
    expect(performance.now() - begin).toBeLessThan(2000);
  });
});

describe('the plan', () => {
  const good = { one: true, several: true };
  const pairs = { one: false, several: true };
  const bad = { one: false, several: false };

  it('is what was asked for, without a word, where all is right', () => {
    const all = { bits4: good, bits8: good };
    expect(planBodies('int4', { ...all, rows8: true })).toEqual({ narrow: 'bits4', wide: 'rows8', paired: false });
    expect(planBodies('int4', { ...all, rows8: false })).toEqual({ narrow: 'bits4', wide: 'bits4', paired: false });
    expect(planBodies('int8', { ...all, rows8: true })).toEqual({ narrow: 'bits8', wide: 'bits8', paired: false });
  });

  it.each([
    ['int4', pairs, good, false, 'bits4 bits4 paired', /^int4: .* single row are wrong .*29853.*: rows go in pairs/],
    ['int4', pairs, good, true, 'bits4 rows8 paired', /rows go in pairs/],
    ['int4', good, pairs, true, 'bits4 rows8 paired', /rows go in pairs/],
    ['int4', bad, good, true, 'rows8 rows8', /^int4: .*4 bits are wrong: computing in 8 bits/],
    ['int4', bad, pairs, true, 'rows8 rows8 paired', /computing in 8 bits/],
    ['int4', bad, good, false, 'bits8 bits8', /4 bits are wrong: using int8/],
    ['int4', good, bad, true, 'float float', /8 bits are wrong: using fp32/],
    ['int8', bad, good, false, 'bits8 bits8', undefined],
    ['int8', good, pairs, false, 'bits8 bits8', undefined],
    ['int8', good, bad, true, 'float float', /using fp32/],
  ] as const)('for %s with 4 bits %o, 8 bits %o, rows8 %s is %s', (precision, bits4, bits8, rows8, bodies, warning) => {
    const plan = planBodies(precision, { bits4, bits8, rows8 });
    expect([plan.narrow, plan.wide, ...(plan.paired ? ['paired'] : [])].join(' ')).toBe(bodies);
    if (warning) expect(plan.warning).toMatch(warning);
    else expect(plan.warning).toBeUndefined();
  });
});
