// A profile in numbers and in lines.
import { describe, expect, it } from 'vitest';
import { profileLines, profileReport } from '../../../src/cli/profileReport.ts';
import type { MeasuredSteps } from '../../../src/cli/stepProfile.ts';
import { isStepProgram, stepPart } from '../../../src/runner/index.ts';

const op = (name: string, calls: number, seconds: number, flops = 0) => ({ op: name, calls, seconds, flops });

/** Two steps of a second: 1.2 s of products, 0.4 s of other kernels, 0.2 s between kernels, 0.2 s outside. */
const measured: MeasuredSteps = {
  steps: 2,
  warmUp: 1,
  seconds: 2,
  tokens: 3000,
  programs: [
    {
      program: 'before.forward',
      runs: 60,
      lost: 0,
      seconds: 0.7,
      ops: [op('MatMulIntegerToFloat', 120, 0.5, 100e9), op('Mul', 60, 0.1)],
    },
    {
      program: 'before.first.backward',
      runs: 2,
      lost: 0,
      seconds: 0.5,
      ops: [op('MatMul', 4, 0.3, 15e9), op('Mul', 4, 0.1)],
    },
    {
      program: 'loss',
      runs: 4,
      lost: 0,
      seconds: 0.6,
      ops: [op('MatMul', 4, 0.4, 20e9), op('Softmax', 4, 0.2)],
    },
  ],
};
const context = { precision: 'int8', threads: 2, ceiling: { float: 100e9, int8: 400e9 } };
const report = profileReport(measured, context);

describe('the report', () => {
  it('shares out the whole step', () => {
    expect(report.shares).toEqual({
      matrixProducts: expect.closeTo(0.6),
      otherKernels: expect.closeTo(0.2),
      betweenKernels: expect.closeTo(0.1),
      outsideEngine: expect.closeTo(0.1),
    });
    const parts = report.parts.reduce((t, p) => t + p.share, 0);
    expect(parts + report.shares.outsideEngine).toBeCloseTo(1);
    const ops = report.ops.reduce((t, o) => t + o.share, 0);
    expect(ops + report.shares.betweenKernels + report.shares.outsideEngine).toBeCloseTo(1);
  });

  it('is per step, by part and by op, most time first', () => {
    expect(report).toMatchObject({ steps: 2, warmUpSteps: 1, msPerStep: 1000, tokensPerStep: 1500, lostRuns: 0 });
    const line = (name: string, runsPerStep: number, msPerStep: number, kernelMsPerStep: number, gflops: number) => ({
      name,
      runsPerStep,
      msPerStep: expect.closeTo(msPerStep),
      kernelMsPerStep: expect.closeTo(kernelMsPerStep),
      share: expect.closeTo(msPerStep / 1000),
      gflops: expect.closeTo(gflops),
    });
    expect(report.parts).toEqual([
      line('before attention', 31, 600, 500, 115 / 1.2),
      line('head and loss', 2, 300, 300, 20 / 0.6),
    ]);
    expect(report.ops.map((o) => [o.op, o.callsPerStep, o.gflops?.toFixed(3)])).toEqual([
      ['MatMul', 4, '50.000'],
      ['MatMulIntegerToFloat', 60, '200.000'],
      ['Mul', 32, undefined],
      ['Softmax', 2, undefined],
    ]);
    expect(report.programs.map((p) => [p.name, p.ops.length])).toEqual([
      ['before.forward', 2],
      ['before.first.backward', 2],
      ['loss', 2],
    ]);
  });

  it('measures float and 8-bit products against a ceiling of their own', () => {
    expect(report.gflops).toBeCloseTo(135 / 2);
    // 35 GFLOP at 100 and 100 GFLOP at 400 would take 0.6 of the 2 seconds.
    expect(report.ofCeiling).toBeCloseTo(0.3);
    expect(report.ceiling).toEqual({ fp32: 100, int8: 400 });
  });

  it('can be written down', () => {
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });
});

describe('the lines', () => {
  const lines = profileLines(report);

  it('say it all', () => {
    expect(lines).toEqual([
      'profile   2 steps after 1 of warm-up: 1000.0 ms and 1500 tokens a step, int8, 2 threads',
      '',
      'part                  ms/step   share   runs/step  GFLOP/s',
      'before attention        600.0  60.0 %          31     95.8',
      'head and loss           300.0  30.0 %           2     33.3',
      'outside the engine      100.0  10.0 %',
      '',
      'op                    ms/step   share  calls/step  GFLOP/s',
      'MatMul                  350.0  35.0 %           4     50.0',
      'MatMulIntegerToFloat    250.0  25.0 %          60    200.0',
      'Mul                     100.0  10.0 %          32',
      'Softmax                 100.0  10.0 %           2',
      'between kernels         100.0  10.0 %',
      '',
      'matrix products 60.0 %, everything else 30.0 %, outside the engine 10.0 %',
      '67.5 GFLOP/s, 30.0 % of the ceiling measured here (fp32 100, int8 400 GFLOP/s)',
      '',
    ]);
  });

  it('sum up what the table has no room for', () => {
    const ops = Array.from({ length: 15 }, (_, i) => op(`Op${i}`, 2, 0.01));
    const program = { program: 'loss', runs: 1, lost: 0, seconds: 0.2, ops };
    const many = profileLines(profileReport({ ...measured, programs: [program] }, context));
    expect(many.filter((l) => l.startsWith('Op'))).toHaveLength(12);
    expect(many).toContainEqual(expect.stringMatching(/^3 others +15\.0 +1\.5 % +3$/));
  });

  it('say when nothing warmed up', () => {
    const one = { ...measured, steps: 1, warmUp: 0 };
    expect(profileLines(profileReport(one, { ...context, threads: 1 }))[0]).toMatch(
      /^profile {3}1 step warm-up included: .* int8, 1 thread$/,
    );
  });
});

describe('program names', () => {
  it.each(['before.forward', 'before.first.backward', 'attention.8.forward', 'after.forward', 'loss', 'gatherRows'])(
    '%s is part of a step',
    (name) => expect(isStepProgram(name)).toBe(true),
  );
  it.each(['before.plain', 'attention.4.plain', 'lossOnly', 'prepare.q_proj', 'int8Probe', 'ceiling.int8', 'logits'])(
    '%s is not',
    (name) => expect(isStepProgram(name)).toBe(false),
  );
  it('name the part', () => {
    expect(['after.first.forward', 'scatterRows', 'expand.q_proj', 'constructor.x'].map(stepPart)).toEqual([
      'after attention',
      'gather, scatter',
      'expand',
      'constructor',
    ]);
  });
});
