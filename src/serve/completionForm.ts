// Answers as plain completions.
import type { Generated, TokenLogprob } from '../infer/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { finishOf } from './chatForm.ts';
import { completionLogprobs, tokenSpelling, withoutEnds } from './logprobs.ts';
import type { ReplyForm } from './respond.ts';

export interface CompletionFormOptions {
  envelope: ReplyForm['envelope'];
  tokenizer: Tokenizer;
  logprobs: boolean;
  ends: ReadonlySet<number>;
}

export function createCompletionForm({ envelope, tokenizer, logprobs, ends }: CompletionFormOptions): ReplyForm {
  const spell = logprobs ? tokenSpelling(tokenizer) : undefined;
  /** Characters of each answer that were reported already. */
  const offsets: number[] = [];

  function report(index: number, all: readonly TokenLogprob[] | undefined) {
    const entries = withoutEnds(all ?? [], ends);
    if (!spell || !all) return null;
    const made = completionLogprobs(entries, spell, offsets[index] ?? 0);
    offsets[index] = (made.text_offset.at(-1) ?? offsets[index] ?? 0) + (made.tokens.at(-1)?.length ?? 0);
    return made;
  }
  const end = ({ finish, stopString }: Generated) => ({
    finish_reason: finishOf(finish),
    stop_reason: stopString ?? null,
  });

  return {
    envelope,
    object: { whole: 'text_completion', chunk: 'text_completion' },
    piece(index, { text, logprobs: entries }) {
      const made = report(index, entries);
      return text || made?.tokens.length ? [{ index, text, logprobs: made, finish_reason: null }] : [];
    },
    end: (index, generated) => [{ index, text: '', logprobs: null, ...end(generated) }],
    whole: (all) =>
      all.map((generated, index) => ({
        index,
        text: generated.text,
        logprobs: report(index, generated.logprobs),
        ...end(generated),
      })),
  };
}
