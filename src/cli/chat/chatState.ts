// What a chat knows, and how it becomes a prompt.
import type { Assistant, BuiltPrompt, ModelEntry } from '../../assistant/index.ts';
import type { ChatMessage } from '../../tokenizer/index.ts';
import type { Knobs } from '../knobs.ts';
import type { Output } from '../output.ts';

export interface Turn {
  question: string;
  answer: string;
  /** Who answered. */
  model: string;
}

export interface ChatState {
  out: Output;
  assistant: Assistant;
  /** Who answers. */
  model: ModelEntry;
  knobs: Knobs;
  system: string | undefined;
  turns: Turn[];
  /** How often the last question was asked again: each time draws another answer. */
  retries: number;
  /** A file that this chat has written or read, and may write again. */
  file: string | undefined;
}

/** All that was said, as messages. */
export function messagesOf({ system, turns }: Pick<ChatState, 'system' | 'turns'>): ChatMessage[] {
  const said = turns.flatMap(({ question, answer }) => [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ]);
  return system === undefined ? said : [{ role: 'system', content: system }, ...said];
}

/**
 * The prompt for a question after what was said. Where it does not fit the model, the oldest turns are left out.
 * @param turns what was said before it. @returns also how many turns were left out.
 */
export function promptFor(
  { assistant, system, knobs }: ChatState,
  model: ModelEntry,
  turns: readonly Turn[],
  question: string,
): { prompt: BuiltPrompt; dropped: number } {
  const { positions } = assistant.generator.info;
  for (let dropped = 0; ; dropped++) {
    const messages = messagesOf({ system, turns: turns.slice(dropped) });
    const prompt = assistant.chatPrompt(model.id, [...messages, { role: 'user', content: question }]);
    const fits = prompt.ids.length + knobs.maxNewTokens <= positions;
    // Alone and still too long: the generator says so.
    if (fits || !model.remembers || dropped >= turns.length) return { prompt, dropped };
  }
}

/** Who answers, in words. */
export const describeEntry = (m: ModelEntry): string =>
  `${m.id}: ${m.kind === 'base' ? 'base model' : 'adapter'}, template ${m.template}${m.remembers ? '' : ', every question stands alone'}`;
