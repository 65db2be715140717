// How a question becomes prompt tokens: by the template that the adapter was trained with, or the model's chat template.
import type { PromptTemplate } from '../data/index.ts';
import { renderPrompt } from '../data/index.ts';
import { loadTemplate } from '../data/node.ts';
import { type ChatMessage, renderChat, type Tokenizer } from '../tokenizer/index.ts';
import { readNotes } from './adapterNotes.ts';

export interface PromptBuilder {
  /** Shown to the user. */
  name: string;
  /** Texts that end an answer. */
  stop: readonly string[];
  /** Earlier turns are part of the prompt (chat templates only). */
  remembers: boolean;
  build(question: { instruction: string; input?: string }, history?: readonly ChatMessage[]): number[];
}

/** The name of the model's own chat template. */
export const chatTemplateName = 'chat';

function fromTemplate(template: PromptTemplate, tokenizer: Tokenizer): PromptBuilder {
  return {
    name: template.name,
    // A model that goes on after its answer writes the next question.
    stop: ['### Instruction:', template.responseSplit],
    remembers: false,
    build: (question) =>
      tokenizer.encode(renderPrompt(template, question), { addBos: tokenizer.addBos, special: false }),
  };
}

function fromChat(tokenizer: Tokenizer): PromptBuilder {
  return {
    name: chatTemplateName,
    stop: [],
    remembers: true,
    build({ instruction, input }, history = []) {
      const content = input ? `${instruction}\n\n${input}` : instruction;
      const messages = [...history, { role: 'user', content }];
      return tokenizer.encode(renderChat(tokenizer, messages, { addGenerationPrompt: true }));
    },
  };
}

/**
 * @param asked --prompt-template-name; default: what the adapter was trained with, else alpaca for an adapter made
 *   elsewhere, else the model's chat template, else alpaca.
 */
export async function promptBuilder(
  tokenizer: Tokenizer,
  asked: string | undefined,
  adapterFolder: string | undefined,
): Promise<PromptBuilder> {
  const noted = adapterFolder ? (await readNotes(adapterFolder))?.prompt_template_name : undefined;
  const fallback = adapterFolder || !tokenizer.chatTemplate ? 'alpaca' : chatTemplateName;
  const name = asked ?? noted ?? fallback;
  return name === chatTemplateName ? fromChat(tokenizer) : fromTemplate(await loadTemplate(name), tokenizer);
}
