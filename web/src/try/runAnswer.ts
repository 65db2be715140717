// Fills an answer from the server: text in small batches, a full queue waited for, every end accounted for.
import { batch } from '@preact/signals';
import { ApiError } from '../api/apiError.ts';
import { lookAtServer } from '../api/server.ts';
import { streamAnswer } from '../api/streamAnswer.ts';
import type { Question } from '../api/types.ts';
import type { Answer } from './answer.ts';
import { newSeed, type Sampling, wireOptions } from './sampling.ts';

/** Text is shown so often at most: faster than that nobody reads, and drawing it costs. */
const drawMs = 50;
const busyTries = 5;

export async function runAnswer(answer: Answer, question: Question, sampling: Sampling, seed?: number): Promise<void> {
  answer.abort = new AbortController();
  const { signal } = answer.abort;
  answer.text.value = '';
  answer.progress.value = { phase: 'waiting' };
  const options = wireOptions(sampling, seed ?? sampling.seed ?? newSeed());
  answer.seed.value = options.seed;
  const text = textBuffer(answer);
  for (let tries = 1; ; tries++) {
    try {
      const pieces = streamAnswer({ model: answer.model, question, options, signal });
      for (;;) {
        const piece = await pieces.next();
        if (piece.done) {
          batch(() => {
            text.flush();
            answer.progress.value = { phase: 'done', end: piece.value };
          });
          return;
        }
        text.add(piece.value);
      }
    } catch (e) {
      text.flush();
      if (signal.aborted) {
        answer.progress.value = { phase: 'stopped' };
        return;
      }
      const error = e instanceof ApiError ? e : new ApiError('refused', String((e as Error).message));
      if (error.kind === 'lost') lookAtServer();
      if (error.kind !== 'busy' || tries === busyTries) {
        answer.progress.value = { phase: 'failed', error };
        return;
      }
      await waitForTurn(answer, error.retryAfter ?? 2 ** tries, signal);
      if (!signal.aborted) answer.progress.value = { phase: 'waiting' };
    }
  }
}

/** Collects pieces and hands them to the signal a few times a second. */
function textBuffer(answer: Answer) {
  let pending = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (pending === '') return;
    const text = pending;
    pending = '';
    answer.text.value += text;
  };
  const add = (piece: string) => {
    pending += piece;
    if (answer.progress.value.phase !== 'streaming') answer.progress.value = { phase: 'streaming' };
    timer ??= setTimeout(flush, drawMs);
  };
  return { add, flush };
}

/** Ends after `seconds`, when the person asks for it, or with the request. */
function waitForTurn(answer: Answer, seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    const now = () => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', now, { once: true });
    answer.progress.value = { phase: 'retrying', at: Date.now() + seconds * 1000, now };
  });
}
