// Learning rate over a run: a linear warm-up, then a decay to zero.

export const schedules = ['linear', 'cosine', 'constant'] as const;
export type Schedule = (typeof schedules)[number];

export interface ScheduleOptions {
  peak: number;
  /** Updates over which the rate rises from 0 to `peak`. */
  warmupSteps: number;
  totalSteps: number;
  schedule: Schedule;
}

/** Rate of update `step` (0-based), as in transformers: update 0 of a warm-up of n uses 0 / n of the peak. */
export function learningRateAt(step: number, o: ScheduleOptions): number {
  if (step < o.warmupSteps) return (o.peak * step) / o.warmupSteps;
  if (o.schedule === 'constant') return o.peak;
  const done = (step - o.warmupSteps) / Math.max(1, o.totalSteps - o.warmupSteps);
  const left = o.schedule === 'linear' ? 1 - done : 0.5 * (1 + Math.cos(Math.PI * done));
  return o.peak * Math.max(0, left);
}
