// Which prompt template a model or an adapter is asked by.
import { loadTemplate } from '../data/node.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { readNotes } from './adapterNotes.ts';
import { chatPrompts, chatTemplateName, type PromptBuilder, templatePrompts } from './prompts.ts';

/**
 * @param asked name or path of a template, or 'chat'; default: what the adapter was trained with, else alpaca for an
 *   adapter made elsewhere, else the model's chat template, else alpaca.
 * @throws HuacayaError TEMPLATE_NOT_FOUND, TEMPLATE_INVALID, FILE_*, BAD_JSON.
 */
export async function choosePrompts(
  tokenizer: Tokenizer,
  asked: string | undefined,
  adapterFolder?: string,
): Promise<PromptBuilder> {
  const noted = adapterFolder ? (await readNotes(adapterFolder))?.prompt_template_name : undefined;
  const fallback = adapterFolder || !tokenizer.chatTemplate ? 'alpaca' : chatTemplateName;
  const name = asked ?? noted ?? fallback;
  return name === chatTemplateName ? chatPrompts(tokenizer) : templatePrompts(await loadTemplate(name), tokenizer);
}
