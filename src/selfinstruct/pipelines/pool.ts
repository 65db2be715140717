// What is in: accepted tasks, and why the others are not.
import type { BatchDedupe } from '../dedupe/types.ts';
import type { Filter } from '../filters/filters.ts';
import type { Parsed } from '../parse/parsed.ts';
import type { Accepted, Rejected, RejectReason, Task } from '../task.ts';

export type RejectCounts = Partial<Record<RejectReason, number>>;

export interface PoolOptions {
  dedupe: BatchDedupe;
  filter: Filter;
  /** Human-written instructions: compared with, never in the result. */
  seeds: readonly string[];
  /** Accepted by an earlier run. */
  before: readonly Accepted[];
  onAccepted?(task: Accepted): void;
}

export class Pool {
  readonly accepted: Accepted[] = [];
  readonly rejected: Rejected[] = [];
  readonly counts: RejectCounts = {};
  private readonly options: PoolOptions;

  constructor(options: PoolOptions) {
    this.options = options;
    for (const seed of options.seeds) options.dedupe.add(seed);
    for (const task of options.before) {
      options.dedupe.add(task.instruction);
      this.in(task);
    }
  }

  /** Takes what was read of an answer until there are `most`; the rest is not looked at. */
  async offer(parsed: Parsed, request: number, most: number): Promise<void> {
    const { dedupe, filter } = this.options;
    for (const { reason, text } of parsed.rejected) this.reject(request, reason, text);
    const candidates: Task[] = [];
    for (const task of parsed.items) {
      const reason = filter(task);
      if (reason) this.reject(request, reason, task.instruction);
      else candidates.push(task);
    }
    const verdicts = await dedupe.admit(candidates.map(({ instruction }) => instruction));
    for (const [k, { duplicate, nearest, mean }] of verdicts.entries()) {
      if (this.accepted.length >= most) return;
      const task = candidates[k]!;
      if (duplicate) this.reject(request, 'duplicate', task.instruction);
      else this.in({ ...task, request, nearest, mean: mean ?? 0 });
    }
  }

  reject(request: number, reason: RejectReason, text: string): void {
    this.rejected.push({ request, reason, text });
    this.counts[reason] = (this.counts[reason] ?? 0) + 1;
  }

  private in(task: Accepted): void {
    this.accepted.push(task);
    this.options.onAccepted?.(task);
  }
}
