// Several requests on one engine: prompts are taken in by chunks (a long one's part, or several short ones), and between two
// chunks every request that is past its prompt gets one token, all in one pass (continuous batching, Yu et al. 2022).
import { usageError } from '../base/index.ts';
import type { DecodeEngine } from '../runner/index.ts';
import type { Job } from './job.ts';
import { createPasses, promptChunk, type Totals } from './passes.ts';
import type { GeneratorStats } from './request.ts';
import { createSlots } from './slots.ts';

/** After so long without work the engine makes itself ready for what it has not done yet. */
const idleMs = 250;

/** In the order of their coming: nobody is overtaken. */
interface Waiting {
  job?: Job;
  /** Needs the engine for itself: begins when no request is running, and nothing else runs meanwhile. */
  alone?: () => Promise<void>;
}

/** Work between two passes. */
interface Change {
  work(): void;
  /** Whether a request stands in its way. */
  waitsFor(job: Job): boolean;
  settle(error?: unknown): void;
}

const closedError = () => usageError('the generator was closed');

export function createScheduler(engine: DecodeEngine) {
  const slots = createSlots(engine.slots);
  const totals: Totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, prefillSeconds: 0, decodeSeconds: 0 };
  const passes = createPasses(engine, slots, totals);
  const waiting: Waiting[] = [];
  /** Each has a slot. */
  let running: Job[] = [];
  /** The request that has the engine for itself. */
  let alone: Job | undefined;
  let changes: Change[] = [];
  let driving: Promise<void> | undefined;
  let closed = false;
  let warmed = false;
  let idle: ReturnType<typeof setTimeout> | undefined;

  /** Slots are given back between passes only. */
  function dropEnded(): void {
    for (const job of running) if (job.finish) slots.give(job.slot!);
    running = running.filter((job) => !job.finish);
  }

  function applyChanges(): void {
    const jobs = [...running, ...waiting.flatMap((w) => w.job ?? [])];
    const due = changes.filter((c) => !jobs.some((j) => c.waitsFor(j)));
    changes = changes.filter((c) => !due.includes(c));
    for (const change of due) {
      try {
        change.work();
        warmed = false;
        change.settle();
      } catch (e) {
        change.settle(e);
      }
    }
  }

  /** Gives slots to those who wait, as long as there are any. */
  function admit(): void {
    for (let next = waiting[0]; next?.job && !next.alone; next = waiting[0]) {
      const { job } = next;
      const slot = slots.take(job.tokens, job.adapterKey);
      if (!slot) return;
      waiting.shift();
      running.push(job);
      job.slot = slot;
      job.cachedTokens = slot.tokens.length;
      totals.promptTokens += job.promptTokens;
      totals.cachedTokens += slot.tokens.length;
      job.started();
      attempt([job], () => passes.lend(job));
    }
  }

  /** When the engine fails, those in the pass cannot go on, nor trust what their slots hold. */
  function failed(jobs: readonly Job[], error: unknown): void {
    for (const job of jobs) {
      if (job.slot) job.slot.tokens = [];
      job.fail(error);
    }
  }

  function attempt(jobs: readonly Job[], work: () => void): void {
    try {
      work();
    } catch (e) {
      failed(jobs, e);
    }
  }

  async function pass(jobs: readonly Job[], seconds: 'prefillSeconds' | 'decodeSeconds', work: () => Promise<void>) {
    const begun = performance.now();
    try {
      await work();
    } catch (e) {
      failed(jobs, e);
    }
    totals[seconds] += (performance.now() - begun) / 1000;
    dropEnded();
  }

  async function runAlone({ job, alone: work }: Waiting): Promise<void> {
    alone = job;
    job?.started();
    if (job) totals.promptTokens += job.promptTokens;
    const before = performance.now();
    try {
      await work!();
    } catch (e) {
      job?.fail(e);
    } finally {
      alone = undefined;
    }
    if (job) totals.decodeSeconds += (performance.now() - before) / 1000;
  }

  /** Whose prompt is next. What others have computed since it came may have left nothing of it to do. */
  function nextPrompt(): Job | undefined {
    for (const job of running) {
      if (!job.finish && job.pending > 1) attempt([job], () => passes.lend(job));
      if (!job.finish && job.pending > 1) return job;
    }
    return undefined;
  }

  async function turn(): Promise<void> {
    dropEnded();
    applyChanges();
    admit();
    if (running.length === 0 && waiting[0]?.alone) return runAlone(waiting.shift()!);
    for (let room = promptChunk, prompt = nextPrompt(); prompt; prompt = nextPrompt()) {
      const job: Job = prompt;
      const part = Math.min(job.pending, promptChunk);
      if (part > room) break;
      room -= part;
      await pass([job], 'prefillSeconds', () => passes.prompt(job));
    }
    dropEnded();
    const ready = running.filter((j) => j.pending === 1);
    if (ready.length === 0) return;
    await pass(ready, 'decodeSeconds', async () => {
      if (ready.length === 1 && (await passes.guess(ready[0]!))) return;
      if (ready.length > 1) passes.gather(running);
      await passes.tokens(ready);
    });
  }

  async function drive(): Promise<void> {
    clearTimeout(idle);
    // Requests that are made together start together.
    await undefined;
    while (waiting.length > 0 || running.length > 0 || changes.length > 0) {
      try {
        await turn();
      } catch (e) {
        // Not the engine's failure but a mistake of ours: better no answer than none for ever.
        const all = [...running, ...waiting.flatMap((w) => w.job ?? [])];
        waiting.length = 0;
        failed(all, e);
      }
    }
    driving = undefined;
    if (warmed || closed) return;
    idle = setTimeout(() => {
      warmed = true;
      waiting.push({ alone: () => engine.warm().catch(() => {}) });
      start();
    }, idleMs);
    // A browser has numbers.
    (idle as { unref?(): void }).unref?.();
  }

  function start(): void {
    driving ??= drive();
  }

  return {
    slots,
    totals,
    /** @param work what the request has the engine for itself for; else it gets a slot. @throws HuacayaError USAGE when closed. */
    add(job: Job, work?: () => Promise<void>): void {
      if (closed) throw closedError();
      waiting.push(work ? { job, alone: work } : { job });
      start();
    },
    /** Ends a request, unless it has ended. Who has the engine alone may still give what was found so far. */
    cancel(job: Job): void {
      const at = waiting.findIndex((w) => w.job === job);
      if (at >= 0) waiting.splice(at, 1);
      if (job === alone) job.stopping.abort();
      else job.abort();
    },
    /** Does something between two passes, once no request that was there before stands in its way. */
    change(work: () => void, waitsFor: (job: Job) => boolean = () => false): Promise<void> {
      if (closed) return Promise.reject(closedError());
      return new Promise((resolve, reject) => {
        changes.push({ work, waitsFor, settle: (e) => (e === undefined ? resolve() : reject(e)) });
        start();
      });
    },
    counts: (): Pick<GeneratorStats, 'running' | 'waiting'> => ({
      running: running.filter((j) => !j.finish).length + (alone && !alone.finish ? 1 : 0),
      waiting: waiting.filter((w) => w.job).length,
    }),
    /** Ends all requests at once. Resolves when the engine is at rest. */
    close(): Promise<void> {
      closed = true;
      clearTimeout(idle);
      for (const { job } of waiting) job?.abort();
      waiting.length = 0;
      for (const job of running) job.abort();
      alone?.abort();
      for (const change of changes) change.settle(closedError());
      changes = [];
      return driving ?? Promise.resolve();
    },
  };
}

export type Scheduler = ReturnType<typeof createScheduler>;
