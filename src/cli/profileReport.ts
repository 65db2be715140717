// A profile for people and for files: where a step's time goes by part and by op, next to what the machine can do.
import { mergeOps, type OpProfile, productKind, profileTotals } from '../engine/index.ts';
import { type Ceiling, stepPart } from '../runner/index.ts';
import type { MeasuredSteps } from './stepProfile.ts';

/** Ops that the table shows; profile.json has all. */
const shownOps = 12;

export interface OpLine {
  op: string;
  callsPerStep: number;
  msPerStep: number;
  /** Of the whole step. */
  share: number;
  /** Of matrix products, per second spent in them; absent for other ops. */
  gflops?: number;
}

export interface PartLine {
  name: string;
  runsPerStep: number;
  /** Kernels, and what is between them. */
  msPerStep: number;
  kernelMsPerStep: number;
  share: number;
  /** Of the part's matrix products, per second spent in the part. */
  gflops: number;
}

/** What profile.json holds. Times are wall-clock; shares are parts of the measured steps and add up to 1. */
export interface ProfileReport {
  precision: string;
  threads: number;
  steps: number;
  warmUpSteps: number;
  msPerStep: number;
  tokensPerStep: number;
  shares: {
    matrixProducts: number;
    /** All other kernels. */
    otherKernels: number;
    /** In the engine, but in no kernel. */
    betweenKernels: number;
    /** Main thread, messages, optimiser. */
    outsideEngine: number;
  };
  /** Arithmetic of matrix products per second of a step. */
  gflops: number;
  ceiling: { fp32: number; int8: number };
  /** Time that the products would take at the ceiling, divided by the time of the step. */
  ofCeiling: number;
  parts: PartLine[];
  ops: OpLine[];
  programs: (PartLine & { ops: OpLine[] })[];
  /** Runs that onnxruntime did not record; they count as time outside the engine. */
  lostRuns: number;
}

export interface ReportContext {
  precision: string;
  threads: number;
  ceiling: Ceiling;
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

export function profileReport(measured: MeasuredSteps, context: ReportContext): ProfileReport {
  const { programs, steps, seconds } = measured;
  const perStep = (s: number) => (1000 * s) / steps;
  const opLine = (o: OpProfile): OpLine => ({
    op: o.op,
    callsPerStep: o.calls / steps,
    msPerStep: perStep(o.seconds),
    share: o.seconds / seconds,
    ...(productKind(o.op) ? { gflops: o.seconds > 0 ? o.flops / o.seconds / 1e9 : 0 } : {}),
  });
  const line = (name: string, of: MeasuredSteps['programs']): PartLine => {
    const total = profileTotals(of);
    return {
      name,
      runsPerStep: sum(of.map((p) => p.runs)) / steps,
      msPerStep: perStep(total.seconds),
      kernelMsPerStep: perStep(total.products + total.others),
      share: total.seconds / seconds,
      gflops: total.seconds > 0 ? (total.flops.float + total.flops.int8) / total.seconds / 1e9 : 0,
    };
  };
  const total = profileTotals(programs);
  const parts = [...new Set(programs.map((p) => stepPart(p.program)))].map((part) =>
    line(
      part,
      programs.filter((p) => stepPart(p.program) === part),
    ),
  );
  const { ceiling } = context;
  return {
    precision: context.precision,
    threads: context.threads,
    steps,
    warmUpSteps: measured.warmUp,
    msPerStep: perStep(seconds),
    tokensPerStep: measured.tokens / steps,
    shares: {
      matrixProducts: total.products / seconds,
      otherKernels: total.others / seconds,
      betweenKernels: total.between / seconds,
      outsideEngine: 1 - total.seconds / seconds,
    },
    gflops: (total.flops.float + total.flops.int8) / seconds / 1e9,
    ceiling: { fp32: ceiling.float / 1e9, int8: ceiling.int8 / 1e9 },
    ofCeiling: (total.flops.float / ceiling.float + total.flops.int8 / ceiling.int8) / seconds,
    parts: parts.sort((a, b) => b.msPerStep - a.msPerStep),
    ops: mergeOps(programs.map((p) => p.ops)).map(opLine),
    programs: programs.map((p) => ({ ...line(p.program, [p]), ops: p.ops.map(opLine) })),
    lostRuns: sum(programs.map((p) => p.lost)),
  };
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
/** As many digits for all times of a report, so that they stand below one another. */
const timeFormat = (r: ProfileReport) => (value: number) => value.toFixed(r.msPerStep < 100 ? 2 : 1);

/** Columns as wide as their widest cell; the first one to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((r) => r[i]!.length)));
  return rows.map((r) =>
    r
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;

function partTable(r: ProfileReport): string[][] {
  const ms = timeFormat(r);
  const line = (p: PartLine) => {
    return [p.name, ms(p.msPerStep), percent(p.share), p.runsPerStep.toFixed(0), p.gflops.toFixed(1)];
  };
  const outside = r.shares.outsideEngine;
  return [
    ['part', 'ms/step', 'share', 'runs/step', 'GFLOP/s'],
    ...r.parts.map(line),
    ['outside the engine', ms(outside * r.msPerStep), percent(outside), '', ''],
  ];
}

function opTable(r: ProfileReport): string[][] {
  const ms = timeFormat(r);
  const line = (o: OpLine) => {
    return [o.op, ms(o.msPerStep), percent(o.share), o.callsPerStep.toFixed(0), o.gflops?.toFixed(1) ?? ''];
  };
  const rest = r.ops.slice(shownOps);
  const others = {
    op: count(rest.length, 'other'),
    msPerStep: sum(rest.map((o) => o.msPerStep)),
    share: sum(rest.map((o) => o.share)),
    callsPerStep: sum(rest.map((o) => o.callsPerStep)),
  };
  const between = r.shares.betweenKernels;
  return [
    ['op', 'ms/step', 'share', 'calls/step', 'GFLOP/s'],
    ...r.ops.slice(0, shownOps).map(line),
    ...(rest.length > 0 ? [line(others)] : []),
    ['between kernels', ms(between * r.msPerStep), percent(between), '', ''],
  ];
}

/** The report in lines, for a terminal. */
export function profileLines(r: ProfileReport): string[] {
  const { matrixProducts, otherKernels, betweenKernels, outsideEngine } = r.shares;
  const steps = count(r.steps, 'step');
  const warmUp = r.warmUpSteps > 0 ? `after ${r.warmUpSteps} of warm-up` : 'warm-up included';
  const tokens = Math.round(r.tokensPerStep);
  const rest = percent(otherKernels + betweenKernels);
  const ceiling = `fp32 ${r.ceiling.fp32.toFixed(0)}, int8 ${r.ceiling.int8.toFixed(0)} GFLOP/s`;
  return [
    `profile   ${steps} ${warmUp}: ${timeFormat(r)(r.msPerStep)} ms and ${tokens} tokens a step, ${r.precision}, ${count(r.threads, 'thread')}`,
    '',
    ...table([...partTable(r), ['', '', '', '', ''], ...opTable(r)]),
    '',
    `matrix products ${percent(matrixProducts)}, everything else ${rest}, outside the engine ${percent(outsideEngine)}`,
    `${r.gflops.toFixed(1)} GFLOP/s, ${percent(r.ofCeiling)} of the ceiling measured here (${ceiling})`,
    '',
  ];
}
