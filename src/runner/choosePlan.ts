// Chooses how to run within a memory limit: the fastest setting that fits, and never another one than was asked for.
import { HuacayaError } from '../base/index.ts';
import type { Precision } from '../quant/index.ts';
import type { MemoryEstimate, MemorySettings } from './memoryPlan.ts';

/** What decides memory; `positions` is not up for choice. */
export type PlanSettings = Required<Omit<MemorySettings, 'positions'>>;

export interface PlanWishes {
  precision: Precision;
  packTokens: number;
  /** 'auto': as memory allows, rather not. */
  oneCopy: boolean | 'auto';
  recompute: boolean | 'auto';
  /** Asked for by the user: is not changed. */
  fixed: { precision: boolean; packTokens: boolean };
  /** A pack cannot be shorter. */
  longest: number;
}

export interface MemoryPlan {
  settings: PlanSettings;
  estimate: MemoryEstimate;
  /** Why these, for people. */
  reason: string;
}

export const showPlanSettings = (s: PlanSettings): string =>
  [s.precision, ...(s.oneCopy ? ['one copy'] : []), ...(s.recompute ? ['recompute'] : []), `pack ${s.packTokens}`].join(
    ', ',
  );

const showSize = (bytes: number) =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.ceil(bytes / 1e6))} MB`;

const shortestPack = 64;

/** Halves, down to the longest example. */
function packSizes(w: PlanWishes): number[] {
  const sizes = [w.packTokens];
  if (w.fixed.packTokens) return sizes;
  const least = Math.max(w.longest, shortestPack);
  for (let n = Math.floor(w.packTokens / 2); n > least; n = Math.floor(n / 2)) sizes.push(n);
  if (least < w.packTokens) sizes.push(least);
  return sizes;
}

/** From what we would rather have to what takes least. */
export function planCandidates(w: PlanWishes): PlanSettings[] {
  const found: PlanSettings[] = [];
  const add = (s: PlanSettings) => {
    const last = found.at(-1);
    if (!last || JSON.stringify(last) !== JSON.stringify(s)) found.push(s);
  };
  const copies = (p: Precision) => (w.oneCopy === 'auto' ? [false, ...(p === 'int8' ? [true] : [])] : [w.oneCopy]);
  const again = w.recompute === 'auto' ? [false, true] : [w.recompute];
  const { precision, packTokens } = w;
  const [first, ...smaller] = packSizes(w);
  for (const oneCopy of copies(precision)) add({ precision, packTokens, oneCopy, recompute: again[0]! });
  const oneCopy = copies(precision).at(-1)!;
  const recompute = again.at(-1)!;
  for (const size of [first!, ...smaller]) add({ precision, packTokens: size, oneCopy, recompute });
  if (!w.fixed.precision && precision !== 'int4') {
    for (const size of [first!, ...smaller]) add({ precision: 'int4', packTokens: size, oneCopy: false, recompute });
  }
  return found;
}

/**
 * The first candidate that fits.
 * @param limit bytes of the whole process.
 * @throws HuacayaError MEMORY_LIMIT (exit code 2) when none does, with the smallest of them; where the user fixed something,
 *   the hint says what would fit without that.
 */
export async function choosePlan(
  limit: number,
  wishes: PlanWishes,
  estimate: (s: PlanSettings) => Promise<MemoryEstimate>,
): Promise<MemoryPlan> {
  const candidates = planCandidates(wishes);
  const first = candidates[0]!;
  let least: { settings: PlanSettings; estimate: MemoryEstimate } | undefined;
  for (const settings of candidates) {
    const made = await estimate(settings);
    if (made.total <= limit) {
      const asked = least ? `${showPlanSettings(first)} would take more than ${showSize(limit)}` : 'as asked for';
      return { settings, estimate: made, reason: asked };
    }
    if (!least || made.total < least.estimate.total) least = { settings, estimate: made };
  }
  const smallest = `${showSize(least!.estimate.total)}: ${showPlanSettings(least!.settings)}`;
  throw new HuacayaError('MEMORY_LIMIT', `${showSize(limit)} of memory are too little: it needs at least ${smallest}`, {
    exitCode: 2,
    hint: await freed(limit, wishes, estimate),
  });
}

/** What would do if the user had fixed nothing. */
async function freed(
  limit: number,
  w: PlanWishes,
  estimate: (s: PlanSettings) => Promise<MemoryEstimate>,
): Promise<string> {
  const asked = [
    ...(w.fixed.precision ? [`--precision ${w.precision}`] : []),
    ...(w.fixed.packTokens ? [`--pack-len ${w.packTokens}`] : []),
    ...(w.oneCopy === false ? ['--one-copy false'] : []),
    ...(w.recompute === false ? ['--recompute false'] : []),
  ];
  if (asked.length > 0) {
    const fixed = { precision: false, packTokens: false };
    for (const settings of planCandidates({ ...w, fixed, oneCopy: 'auto', recompute: 'auto' })) {
      const { total } = await estimate(settings);
      if (total <= limit) return `Without ${asked.join(', ')} it would fit: ${showPlanSettings(settings)}.`;
    }
  }
  return 'Raise --memory, close other programs, cut rows with --cutoff-len, or take a smaller model.';
}
