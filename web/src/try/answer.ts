// One answer of one model: its text as it grows, and how far it is.
import { type Signal, signal } from '@preact/signals';
import type { ApiError } from '../api/apiError.ts';
import type { AnswerEnd } from '../api/streamAnswer.ts';

export type Progress =
  | { phase: 'waiting' }
  /** The queue was full; asked again at that time (ms since the epoch). */
  | { phase: 'retrying'; at: number; now: () => void }
  | { phase: 'streaming' }
  | { phase: 'done'; end: AnswerEnd }
  | { phase: 'stopped' }
  | { phase: 'failed'; error: ApiError };

export interface Answer {
  readonly id: number;
  readonly model: string;
  readonly text: Signal<string>;
  readonly progress: Signal<Progress>;
  /** Sent with the question; absent where the mode has no use for one. */
  readonly seed: Signal<number | undefined>;
  abort: AbortController;
}

let lastId = 0;

export function newAnswer(model: string): Answer {
  return {
    id: ++lastId,
    model,
    text: signal(''),
    progress: signal<Progress>({ phase: 'waiting' }),
    seed: signal<number | undefined>(undefined),
    abort: new AbortController(),
  };
}

export const isRunning = (answer: Answer) => ['waiting', 'retrying', 'streaming'].includes(answer.progress.value.phase);
