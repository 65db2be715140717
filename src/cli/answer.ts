// One question, one answer: asks, hands out the text as it comes, and tells how fast it came.
import { type Assistant, type BuiltPrompt, type ModelEntry, schemaConstraint } from '../assistant/index.ts';
import type { Generated, TokenLogprob } from '../infer/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import type { Knobs } from './knobs.ts';
import { askOptions } from './knobsInUse.ts';

export interface Question {
  assistant: Assistant;
  model: ModelEntry;
  prompt: BuiltPrompt;
  knobs: Knobs;
  /** Aborted: the answer ends within a token. */
  signal?: AbortSignal;
  onText?: (text: string) => void;
}

export async function ask({ assistant, model, prompt, knobs, signal, onText }: Question): Promise<Generated> {
  const { tokenizer, generator } = assistant;
  const { jsonSchema } = knobs;
  const constraint = jsonSchema && schemaConstraint(tokenizer, jsonSchema.schema, generator.info.vocabSize);
  const pieces = assistant.answer(prompt, { ...askOptions(knobs, model), constraint, signal });
  for (;;) {
    const piece = await pieces.next();
    if (piece.done) return piece.value;
    if (piece.value.text) onText?.(piece.value.text);
  }
}

/** "12 + 30 tokens, 85 tok/s, 8 cached, ended by eos" */
export function statsLine(made: Generated): string {
  const speed = made.ids.length > 1 ? [`${((made.ids.length - 1) / made.decodeSeconds).toFixed(0)} tok/s`] : [];
  const cached = made.cachedTokens > 0 ? [`${made.cachedTokens} cached`] : [];
  const tokens = `${made.promptTokens} + ${made.ids.length} tokens`;
  return [tokens, ...speed, ...cached, `ended by ${made.finish}`].join(', ');
}

const percent = (logprob: number) => `${(100 * Math.exp(logprob)).toFixed(1)} %`;

/** The spelling of a token; a model may have more rows than its tokenizer has tokens. */
const spelled = (tokenizer: Tokenizer, id: number) => (id < tokenizer.vocabSize ? tokenizer.decode([id]) : `#${id}`);

/** A line a token: the token, its log-probability, its probability, and what else was probable. */
export function logprobLines(tokenizer: Tokenizer, logprobs: readonly TokenLogprob[]): string[] {
  const quote = (id: number) => JSON.stringify(spelled(tokenizer, id));
  return logprobs.map(({ id, logprob, top }) => {
    const others = top.map((t) => `${quote(t.id)} ${percent(t.logprob)}`).join(', ');
    return `${quote(id).padEnd(16)} ${logprob.toFixed(3).padStart(8)} ${percent(logprob).padStart(8)}  ${others}`.trimEnd();
  });
}

/** What programs are told of an answer. */
export function answerJson(tokenizer: Tokenizer, model: ModelEntry, made: Generated): Record<string, unknown> {
  const token = ({ id, logprob }: { id: number; logprob: number }) => ({ id, token: spelled(tokenizer, id), logprob });
  return {
    model: model.id,
    text: made.text,
    finish: made.finish,
    tokens: made.ids.length,
    promptTokens: made.promptTokens,
    cachedTokens: made.cachedTokens,
    ...(made.logprobs ? { logprobs: made.logprobs.map((l) => ({ ...token(l), top: l.top.map(token) })) } : {}),
  };
}
