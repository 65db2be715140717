// Several requests on one engine: prompts are taken in by chunks, and between two chunks every request that is past its prompt
// gets one token, all in one pass (continuous batching, Yu et al. 2022).
import { usageError } from '../base/index.ts';
import type { DecodeEngine, Picked } from '../runner/index.ts';
import type { Job } from './job.ts';
import { createGuessMeter, guessNext } from './promptLookup.ts';
import type { GeneratorStats } from './request.ts';
import { createSlots } from './slots.ts';

/** Tokens of a prompt in one pass: others wait no longer than that for their next token. */
const promptChunk = 256;

/** After so long without work the engine makes itself ready for what it has not done yet. */
const idleMs = 250;

export function createScheduler(engine: DecodeEngine) {
  const slots = createSlots(engine.slots);
  const waiting: Job[] = [];
  const running: Job[] = [];
  /** What needs the engine for itself, in order. */
  const exclusive: (() => Promise<void>)[] = [];
  const meters = new WeakMap<Job, ReturnType<typeof createGuessMeter>>();
  const totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, prefillSeconds: 0, decodeSeconds: 0 };
  let driving = false;
  let closed = false;
  let warmed = false;
  let idle: ReturnType<typeof setTimeout> | undefined;

  function leave(job: Job): void {
    const at = running.indexOf(job);
    if (at >= 0) running.splice(at, 1);
    if (job.slot) slots.give(job.slot);
    job.slot = undefined;
  }

  function admit(): void {
    while (waiting.length > 0) {
      const job = waiting[0]!;
      const placed = slots.take(job.request.promptIds, job.adapterKey);
      if (!placed) return;
      waiting.shift();
      const { slot, cached, copy } = placed;
      if (copy) engine.copyPrefix(copy.source.index, slot.index, copy.from, cached);
      job.slot = slot;
      job.done = cached;
      job.cachedTokens = cached;
      totals.promptTokens += job.request.promptIds.length;
      totals.cachedTokens += cached;
      job.started();
      running.push(job);
    }
  }

  /** A token for each job from what the pass gave, in the order of its kept rows. */
  async function choose(jobs: readonly Job[], picked: readonly Picked[]): Promise<void> {
    const raw = jobs.some((j) => j.request.topLogprobs !== undefined) ? await engine.raw(32) : undefined;
    for (const [i, job] of jobs.entries()) {
      try {
        const id = await job.choose(picked[i]!, engine.config.vocabSize, () => engine.row(i), raw?.[i]);
        totals.generatedTokens++;
        job.take(id);
      } catch (e) {
        job.fail(e);
      }
      if (job.finish) leave(job);
    }
  }

  const options = (jobs: readonly Job[]) => ({
    k: Math.max(...jobs.map((j) => j.candidates)),
    ...(jobs.some((j) => j.temperature !== undefined) ? { temperatures: jobs.map((j) => j.temperature ?? 1) } : {}),
    ...(jobs.some((j) => j.changes) ? { changes: jobs.map((j) => j.changes) } : {}),
  });

  async function promptPass(job: Job): Promise<void> {
    const { promptIds } = job.request;
    const slot = job.slot!;
    const part = promptIds.slice(job.done, job.done + promptChunk);
    const pass = { first: slot.index, pasts: [job.done], ids: [part], adapters: [job.use] };
    const last = job.done + part.length === promptIds.length;
    const begun = performance.now();
    const picked = last
      ? await engine.pick({ ...pass, keep: [part.length - 1] }, options([job]))
      : await engine.extend(pass);
    job.done += part.length;
    slot.tokens.push(...part);
    totals.prefillSeconds += (performance.now() - begun) / 1000;
    if (picked) await choose([job], picked);
  }

  /** One request alone may guess ahead. @returns false when there is nothing to guess. */
  async function guessPass(job: Job): Promise<boolean> {
    if (!job.maySpeculate || job.room < 2) return false;
    const meter = meters.get(job) ?? createGuessMeter();
    meters.set(job, meter);
    if (!meter.wanted()) return false;
    const slot = job.slot!;
    const guesses = guessNext(job.tokens).slice(0, Math.min(job.room - 1, engine.capacity - slot.tokens.length - 1));
    if (guesses.length === 0) return false;
    const ids = [job.ids.at(-1)!, ...guesses];
    const rows = ids.map((_, i) => i);
    const same = options([job]);
    const picked = await engine.pick(
      { first: slot.index, pasts: [slot.tokens.length], ids: [ids], adapters: [job.use], keep: rows, narrow: true },
      { ...same, ...(same.temperatures ? { temperatures: rows.map(() => same.temperatures![0]!) } : {}) },
    );
    let kept = 0;
    for (const i of rows) {
      slot.tokens.push(ids[i]!);
      const id = await job.choose(picked[i]!, engine.config.vocabSize, () => engine.row(i));
      totals.generatedTokens++;
      job.take(id);
      if (job.finish || id !== guesses[i]) break;
      kept++;
    }
    meter.note(kept);
    if (job.finish) leave(job);
    return true;
  }

  async function tokenPass(jobs: readonly Job[]): Promise<void> {
    const begun = performance.now();
    try {
      if (jobs.length === 1 && (await guessPass(jobs[0]!))) return;
      const sorted = [...jobs].sort((a, b) => a.slot!.index - b.slot!.index);
      const first = sorted[0]!.slot!.index;
      const span = slots.all.slice(first, sorted.at(-1)!.slot!.index + 1);
      const bySlot = new Map(sorted.map((j) => [j.slot!.index, j]));
      // Slots in between take part without a token of theirs: what the pass writes lies behind what they hold.
      const pasts = span.map((s) => Math.min(s.tokens.length, engine.capacity - 1));
      for (const s of span) if (!bySlot.has(s.index)) s.tokens.length = Math.min(s.tokens.length, engine.capacity - 1);
      const picked = await engine.pick(
        {
          first,
          pasts,
          ids: span.map((s) => [bySlot.get(s.index)?.ids.at(-1) ?? 0]),
          adapters: span.map((s) => bySlot.get(s.index)?.use),
          keep: sorted.map((j) => j.slot!.index - first),
        },
        options(sorted),
      );
      for (const j of sorted) j.slot!.tokens.push(j.ids.at(-1)!);
      await choose(sorted, picked);
    } finally {
      totals.decodeSeconds += (performance.now() - begun) / 1000;
    }
  }

  function dropCancelled(): void {
    for (const job of [...running, ...waiting]) {
      if (!job.cancelled) continue;
      job.abort();
      leave(job);
      const at = waiting.indexOf(job);
      if (at >= 0) waiting.splice(at, 1);
    }
  }

  async function turn(): Promise<void> {
    dropCancelled();
    if (exclusive.length > 0 && running.length === 0) {
      await exclusive.shift()!();
      return;
    }
    // Who waits for the engine alone is not overtaken for ever.
    if (exclusive.length === 0) admit();
    const prompt = running.find((j) => j.done < j.request.promptIds.length);
    if (prompt) await promptPass(prompt);
    dropCancelled();
    const ready = running.filter((j) => j.done === j.request.promptIds.length && j.ids.length > 0);
    if (ready.length > 0) await tokenPass(ready);
  }

  async function drive(): Promise<void> {
    if (driving) return;
    driving = true;
    clearTimeout(idle);
    try {
      while (!closed && (waiting.length > 0 || running.length > 0 || exclusive.length > 0)) {
        try {
          await turn();
        } catch (e) {
          // The engine's own failure: whoever was in the pass cannot go on, nor trust what its slot holds.
          for (const job of [...running]) {
            job.slot!.tokens = [];
            job.fail(e);
            leave(job);
          }
        }
      }
    } finally {
      driving = false;
    }
    if (warmed || closed) return;
    idle = setTimeout(() => {
      warmed = true;
      runAlone(() => engine.warm()).catch(() => {});
    }, idleMs);
    idle.unref();
  }

  /** Runs something when no request is running; requests wait meanwhile. */
  function runAlone<T>(work: () => Promise<T> | T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      exclusive.push(async () => {
        try {
          resolve(await work());
        } catch (e) {
          reject(e);
        }
      });
      void drive();
    });
  }

  return {
    slots,
    totals,
    add(job: Job): void {
      if (closed) throw usageError('the generator was closed');
      waiting.push(job);
      void drive();
    },
    /** Looks again at who has left. */
    wake: () => void drive(),
    runAlone,
    counts: (): Pick<GeneratorStats, 'running' | 'waiting'> => ({ running: running.length, waiting: waiting.length }),
    close(): void {
      closed = true;
      clearTimeout(idle);
      for (const job of [...running, ...waiting]) job.abort();
    },
  };
}

export type Scheduler = ReturnType<typeof createScheduler>;
