// How a question becomes prompt tokens: by the template that an adapter was trained with, or the model's chat template.
import { usageError } from '../base/index.ts';
import { type PromptTemplate, renderPrompt } from '../data/index.ts';
import { type ChatMessage, renderChat, type Tokenizer } from '../tokenizer/index.ts';

/** The Alpaca form. */
export interface Instruction {
  instruction: string;
  input?: string;
}

export interface PromptBuilder {
  /** Shown to the user. */
  name: string;
  /** Texts that end an answer. */
  stop: readonly string[];
  /** Earlier turns are part of the prompt. */
  remembers: boolean;
  instruction(question: Instruction): number[];
  /** @throws HuacayaError USAGE without a question, or with tools that the template does not take. */
  chat(messages: readonly ChatMessage[], tools?: readonly unknown[]): number[];
}

/** The name of the model's own chat template. */
export const chatTemplateName = 'chat';

const noTools = (name: string) =>
  usageError(`the prompt template "${name}" has no place for tools`, 'Ask a model whose chat template takes tools.');

/** Every question stands alone. */
export function templatePrompts(template: PromptTemplate, tokenizer: Tokenizer): PromptBuilder {
  const instruction = (question: Instruction) =>
    tokenizer.encode(renderPrompt(template, question), { addBos: tokenizer.addBos, special: false });
  return {
    name: template.name,
    // A model that goes on after its answer writes the next question.
    stop: ['### Instruction:', template.responseSplit],
    remembers: false,
    instruction,
    chat(messages, tools = []) {
      if (tools.length > 0) throw noTools(template.name);
      const last = messages.findLast((m) => m.role === 'user');
      if (!last) throw usageError('the conversation has no message of the user');
      return instruction({ instruction: last.content });
    },
  };
}

/** The whole conversation is the prompt. */
export function chatPrompts(tokenizer: Tokenizer): PromptBuilder {
  const chat: PromptBuilder['chat'] = (messages, tools = []) => {
    if (messages.length === 0) throw usageError('the conversation has no messages');
    if (tools.length > 0 && !/\btools\b/.test(tokenizer.chatTemplate ?? '')) throw noTools(chatTemplateName);
    return tokenizer.encode(renderChat(tokenizer, messages, { addGenerationPrompt: true, tools }));
  };
  return {
    name: chatTemplateName,
    stop: [],
    remembers: true,
    instruction({ instruction, input }) {
      return chat([{ role: 'user', content: input ? `${instruction}\n\n${input}` : instruction }]);
    },
    chat,
  };
}
