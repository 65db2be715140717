// Runs the answers of a request side by side, and ends all of them when one fails or the request does.
import type { Assistant } from '../assistant/index.ts';
import type { Generated, Piece } from '../infer/index.ts';
import type { PlannedAnswer } from './plan.ts';

export interface AnswerEvents {
  piece?(index: number, piece: Piece): Promise<void> | void;
  end?(index: number, generated: Generated): Promise<void> | void;
}

/**
 * @param cut ends them; its reason is what is thrown then.
 * @returns what each of them gave, in order.
 */
export async function runAnswers(
  assistant: Assistant,
  answers: readonly PlannedAnswer[],
  cut: AbortController,
  events: AnswerEvents,
): Promise<Generated[]> {
  async function run({ prompt, options }: PlannedAnswer, index: number): Promise<Generated> {
    const pieces = assistant.answer(prompt, { ...options, signal: cut.signal });
    try {
      for (;;) {
        const step = await pieces.next();
        if (cut.signal.aborted) throw cut.signal.reason;
        if (!step.done) {
          await events.piece?.(index, step.value);
          continue;
        }
        await events.end?.(index, step.value);
        return step.value;
      }
    } catch (e) {
      // The first reason counts; the others end because of it.
      cut.abort(e);
      throw cut.signal.reason;
    } finally {
      // The type asks for a result that nobody will see.
      await pieces.return(undefined as never).catch(() => {});
    }
  }
  const ends = await Promise.allSettled(answers.map(run));
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}
