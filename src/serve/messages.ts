// OpenAI's messages as chat templates know them.
import type { ChatMessage } from '../tokenizer/index.ts';
import type { MessageBody } from './schemas/chat.ts';

type Content = string | readonly { text: string }[] | null | undefined;

const textOf = (content: Content): string =>
  typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join('');

export function toChatMessages(messages: readonly MessageBody[]): ChatMessage[] {
  return messages.map((message) => {
    const content = textOf(message.content);
    switch (message.role) {
      case 'developer':
        return { role: 'system', content };
      case 'tool': {
        const { role, tool_call_id, name } = message;
        return { role, content, tool_call_id, ...(name ? { name } : {}) };
      }
      case 'assistant': {
        const calls = message.tool_calls ?? [];
        return { role: message.role, content, ...(calls.length > 0 ? { tool_calls: calls.map(toTemplateCall) } : {}) };
      }
      default:
        return { role: message.role, content };
    }
  });
}

type CallBody = NonNullable<Extract<MessageBody, { role: 'assistant' }>['tool_calls']>[number];

/** Templates write arguments with tojson: they want the object, not its text. */
function toTemplateCall({ id, function: { name, arguments: text } }: CallBody) {
  let args: unknown = text;
  try {
    args = JSON.parse(text);
  } catch {
    // What a model wrote and is no JSON stays as it is.
  }
  return { id, type: 'function', function: { name, arguments: args } };
}

/** Characters of all texts, to refuse what cannot fit before any work. */
export const charactersOf = (messages: readonly ChatMessage[]) =>
  messages.reduce((sum, { content }) => sum + content.length, 0);
