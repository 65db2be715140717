// What profiling tells: the time of each program by op, as plain data, and what is derived from it.
import { type ProductKind, productKind } from './products.ts';

/** The kernels of one op in the counted runs of a program. */
export interface OpProfile {
  /** onnxruntime's name for the kernel, e.g. MatMul; after its fusions, so not always what the program asked for. */
  op: string;
  calls: number;
  seconds: number;
  /** Multiplications and additions of matrix products; 0 for every other op. */
  flops: number;
}

export interface ProgramProfile {
  program: string;
  /** Counted runs. */
  runs: number;
  /** Counted runs that are missing in this profile, because onnxruntime keeps a million events a session and no more. */
  lost: number;
  /** Wall-clock time of the runs: the kernels, and what is between and around them. */
  seconds: number;
  /** Most time first. */
  ops: OpProfile[];
}

export interface ProfileTotals {
  /** Seconds in runs: the sum of the three below. */
  seconds: number;
  /** Seconds in matrix products. */
  products: number;
  /** Seconds in all other kernels. */
  others: number;
  /** Seconds in runs but in no kernel: scheduling, binding, and the cost of profiling itself. */
  between: number;
  /** Arithmetic of the matrix products by kind. */
  flops: Record<ProductKind, number>;
}

export function profileTotals(profiles: readonly ProgramProfile[]): ProfileTotals {
  const totals: ProfileTotals = { seconds: 0, products: 0, others: 0, between: 0, flops: { float: 0, int8: 0 } };
  for (const { seconds, ops } of profiles) {
    totals.seconds += seconds;
    for (const o of ops) {
      const kind = productKind(o.op);
      if (kind) totals.flops[kind] += o.flops;
      if (kind) totals.products += o.seconds;
      else totals.others += o.seconds;
    }
  }
  totals.between = totals.seconds - totals.products - totals.others;
  return totals;
}

/** The ops of several programs, or several profiles of one, as one list: most time first. */
export function mergeOps(lists: readonly (readonly OpProfile[])[]): OpProfile[] {
  const merged = new Map<string, OpProfile>();
  for (const o of lists.flat()) {
    const held = merged.get(o.op);
    if (!held) {
      merged.set(o.op, { ...o });
      continue;
    }
    held.calls += o.calls;
    held.seconds += o.seconds;
    held.flops += o.flops;
  }
  return [...merged.values()].sort((a, b) => b.seconds - a.seconds);
}

/** Profiles of sessions with the same name as one: most time first. */
export function mergePrograms(profiles: readonly ProgramProfile[]): ProgramProfile[] {
  const merged = new Map<string, ProgramProfile>();
  for (const p of profiles) {
    const held = merged.get(p.program);
    if (!held) {
      merged.set(p.program, p);
      continue;
    }
    merged.set(p.program, {
      program: p.program,
      runs: held.runs + p.runs,
      lost: held.lost + p.lost,
      seconds: held.seconds + p.seconds,
      ops: mergeOps([held.ops, p.ops]),
    });
  }
  return [...merged.values()].sort((a, b) => b.seconds - a.seconds);
}
