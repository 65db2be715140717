// What the engine does for requests: a part of a prompt, a token for each of several, or a token and guesses for one.
import type { DecodeEngine, Picked } from '../runner/index.ts';
import type { Job } from './job.ts';
import { guessNext, longestGuess } from './promptLookup.ts';
import type { GeneratorStats } from './request.ts';
import type { Slots } from './slots.ts';

export type Totals = Omit<GeneratorStats, 'running' | 'waiting'>;

/** Tokens of prompts between two tokens of an answer: others wait no longer than that for their next token. */
export const promptChunk = 256;

/** Most log-probabilities that are reported are 20. As many as other passes want anyway: each number is a program. */
const rawCount = 64;

const options = (jobs: readonly Job[]) => ({
  k: Math.max(...jobs.map((j) => j.candidates)),
  ...(jobs.some((j) => j.temperature !== undefined) ? { temperatures: jobs.map((j) => j.temperature ?? 1) } : {}),
  ...(jobs.some((j) => j.changes) ? { changes: jobs.map((j) => j.changes) } : {}),
});

export function createPasses(engine: DecodeEngine, slots: Slots, totals: Totals) {
  const { vocabSize } = engine.config;

  /** A request's next token, from row `i` of the pass. */
  async function choose(job: Job, picked: Picked, i: number, raw?: Picked): Promise<void> {
    // Who was aborted during the pass has told the reader so.
    if (job.finish) return;
    try {
      const id = await job.choose(picked, vocabSize, () => engine.row(i), raw);
      if (job.finish) return;
      totals.generatedTokens++;
      job.take(id);
    } catch (e) {
      job.fail(e);
    }
  }

  async function chooseAll(jobs: readonly Job[], picked: readonly Picked[]): Promise<void> {
    const raw = jobs.some((j) => j.request.topLogprobs !== undefined) ? await engine.raw(rawCount) : undefined;
    for (const [i, job] of jobs.entries()) await choose(job, picked[i]!, i, raw?.[i]);
  }

  /** Lets a prompt have what another slot holds of it. */
  function lend(job: Job): void {
    const slot = job.slot!;
    const loan = slots.borrow(slot, job.tokens);
    if (!loan) return;
    engine.copyPrefix(loan.source.index, slot.index, loan.from, loan.to);
    job.cachedTokens += loan.to - loan.from;
    totals.cachedTokens += loan.to - loan.from;
  }

  /** The next part of a prompt; at its end also the first token. */
  async function prompt(job: Job): Promise<void> {
    const slot = job.slot!;
    const past = slot.tokens.length;
    const part = job.tokens.slice(past, past + promptChunk);
    const pass = { first: slot.index, pasts: [past], ids: [part], adapters: [job.use], keep: [part.length - 1] };
    const last = past + part.length === job.tokens.length;
    // Nobody looks at the candidates after other parts; but to wait for them is to know that the engine has come so far.
    const picked = await engine.pick(pass, last ? options([job]) : { k: 1 });
    slot.tokens.push(...part);
    if (last) await chooseAll([job], picked);
  }

  /** One request alone may guess ahead. @returns false when there is nothing to guess. */
  async function guess(job: Job): Promise<boolean> {
    if (!job.maySpeculate || job.room < 2 || !job.guessing.wanted()) return false;
    const slot = job.slot!;
    const past = slot.tokens.length;
    const guesses = guessNext(job.tokens, Math.min(longestGuess, job.room - 1));
    if (guesses.length === 0) return false;
    const ids = [job.tokens.at(-1)!, ...guesses];
    const rows = ids.map((_, i) => i);
    const same = options([job]);
    const picked = await engine.pick(
      { first: slot.index, pasts: [past], ids: [ids], adapters: [job.use], keep: rows, narrow: true },
      { ...same, ...(same.temperatures ? { temperatures: rows.map(() => same.temperatures![0]!) } : {}) },
    );
    let kept = 0;
    for (const i of rows) {
      slot.tokens.push(ids[i]!);
      await choose(job, picked[i]!, i);
      if (job.finish || job.tokens.at(-1) !== guesses[i]) break;
      kept++;
    }
    job.guessing.note(kept);
    return true;
  }

  /** Moves requests together when there are many free slots between theirs. */
  function gather(jobs: readonly Job[]): void {
    for (const [from, to] of slots.gather()) {
      const job = jobs.find((j) => j.slot === from)!;
      engine.copyPrefix(from.index, to.index, 0, from.tokens.length);
      slots.move(from, to);
      job.slot = to;
    }
  }

  /** A token for each request: all of them have one that the engine has not seen. */
  async function tokens(jobs: readonly Job[]): Promise<void> {
    const sorted = [...jobs].sort((a, b) => a.slot!.index - b.slot!.index);
    const first = sorted[0]!.slot!.index;
    const span = slots.all.slice(first, sorted.at(-1)!.slot!.index + 1);
    const bySlot = new Map(sorted.map((j) => [j.slot!.index, j]));
    // Slots in between take part with a token that is nobody's: what the pass writes lies behind what they hold. There is
    // room for it, since the last token of an answer is never computed.
    const ids = span.map((s) => bySlot.get(s.index)?.tokens.at(-1) ?? 0);
    const picked = await engine.pick(
      {
        first,
        pasts: span.map((s) => s.tokens.length),
        ids: ids.map((id) => [id]),
        adapters: span.map((s) => bySlot.get(s.index)?.use),
        keep: sorted.map((j) => j.slot!.index - first),
      },
      options(sorted),
    );
    for (const j of sorted) j.slot!.tokens.push(ids[j.slot!.index - first]!);
    await chooseAll(sorted, picked);
  }

  return { lend, prompt, guess, gather, tokens };
}
