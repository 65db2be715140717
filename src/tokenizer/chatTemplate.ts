// Messages -> the text that the model was trained on, by the model's own Jinja template.
// What Hugging Face gives to a template: https://huggingface.co/docs/transformers/chat_templating
import { HuacayaError } from '../base/index.ts';
import { type ParsedTemplate, parseTemplate, runTemplate } from './templateSandbox.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  /** 'system', 'user', 'assistant'; what else is allowed is the template's business. */
  role: string;
  content: string;
  /** What OpenAI's API has besides, for templates that know tools. */
  name?: string;
  tool_calls?: readonly unknown[];
  tool_call_id?: string;
}

export interface ChatOptions {
  /** End with the header of the assistant's turn, ready for a reply. Default false. */
  addGenerationPrompt?: boolean;
  /** JSON schemas of functions, in OpenAI's shape. */
  tools?: readonly unknown[];
  /** For templates that write the date. Default: the clock. */
  now?: Date;
}

/** Only what is there: templates ask whether a key is defined. */
function forTemplate({ role, content, name, tool_calls, tool_call_id }: ChatMessage): Record<string, unknown> {
  const more = Object.entries({ name, tool_calls, tool_call_id }).filter(([, value]) => value !== undefined);
  return { role, content, ...Object.fromEntries(more) };
}

const parsed = new WeakMap<Tokenizer, ParsedTemplate>();

/**
 * The text contains its own BOS where the template writes one: encode it without `addBos`.
 * @throws HuacayaError NO_CHAT_TEMPLATE, BAD_CHAT_TEMPLATE (cannot be parsed, fails, too long, too slow) or
 * CHAT_REFUSED (the template's own raise_exception, e.g. for a system message that the model does not know).
 */
export function renderChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = false, tools = [], now = new Date() }: ChatOptions = {},
): string {
  const { chatTemplate, bosId, eosId } = tokenizer;
  if (chatTemplate === undefined) {
    throw new HuacayaError('NO_CHAT_TEMPLATE', 'the model has no chat template', {
      hint: 'It is a base model: use a prompt template such as alpaca.',
    });
  }
  const template = parsed.get(tokenizer) ?? parseTemplate(chatTemplate);
  parsed.set(tokenizer, template);
  const textOf = (id: number | undefined) => (id === undefined ? '' : tokenizer.tokenText(id));
  return runTemplate(
    template,
    {
      messages: messages.map(forTemplate),
      add_generation_prompt: addGenerationPrompt,
      bos_token: textOf(bosId),
      eos_token: textOf(eosId),
      tools: tools.length > 0 ? tools : null,
      documents: null,
    },
    now,
  );
}
