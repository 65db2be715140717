// A conversation as a file: JSON Lines, a message a line, to be read again; or Markdown, to be read by people.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { HuacayaError, usageError } from '../../base/index.ts';
import { fileError, writeFileAtomic } from '../../base/node.ts';
import { type ChatState, messagesOf, type Turn } from './chatState.ts';

type Conversation = Pick<ChatState, 'system' | 'turns'>;

function asJsonLines(chat: Conversation): string {
  const answered = chat.turns.map((t) => t.model);
  return messagesOf(chat)
    .map((m) => (m.role === 'assistant' ? { ...m, model: answered.shift() } : m))
    .map((m) => `${JSON.stringify(m)}\n`)
    .join('');
}

const asMarkdown = (chat: Conversation) =>
  messagesOf(chat)
    .map(({ role, content }) => `## ${role}\n\n${content.trim()}\n`)
    .join('\n');

/** Other people's files stay as they are: a file is replaced only if this chat wrote or read it, or with `replace`. */
export async function saveChat(state: ChatState, path: string, replace: boolean): Promise<void> {
  const kind = extname(path).toLowerCase();
  if (kind !== '.jsonl' && kind !== '.md') throw usageError(`${path}: name a .jsonl or a .md file`);
  if (existsSync(path) && !replace && state.file !== resolve(path)) {
    throw usageError(`${path} exists already`, `/save! ${path} replaces it.`);
  }
  await writeFileAtomic(path, kind === '.md' ? asMarkdown(state) : asJsonLines(state));
  state.file = resolve(path);
}

const bad = (path: string, line: number, problem: string) =>
  new HuacayaError('BAD_CHAT_FILE', `${path}:${line}: ${problem}`, {
    hint: 'A line is {"role": "user", "content": "..."}; user and assistant take turns, a system message may come first.',
  });

/** Messages of our own files; also of a file whose only line is {"messages": [...]}. */
function parseMessages(
  path: string,
  text: string,
): { role: unknown; content: unknown; model?: unknown; line: number }[] {
  const lines = text.split('\n').map((line, i) => ({ line: i + 1, text: line.trim() }));
  return lines
    .filter(({ text }) => text !== '')
    .flatMap(({ line, text }) => {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch (cause) {
        throw bad(path, line, `is not JSON: ${(cause as Error).message}`);
      }
      const list = (value as { messages?: unknown } | null)?.messages;
      return (Array.isArray(list) ? list : [value]).map((m) => ({
        ...(m as { role: unknown; content: unknown }),
        line,
      }));
    });
}

/** @throws HuacayaError FILE_*, BAD_CHAT_FILE with the line. */
export async function loadChat(path: string): Promise<Conversation> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
  let system: string | undefined;
  let question: string | undefined;
  const turns: Turn[] = [];
  const messages = parseMessages(path, text);
  for (const [i, { role, content, model, line }] of messages.entries()) {
    if (typeof content !== 'string') throw bad(path, line, 'the message has no text in "content"');
    if (role === 'system' && i === 0) system = content;
    else if (role === 'user' && question === undefined) question = content;
    else if (role === 'assistant' && question !== undefined) {
      turns.push({ question, answer: content, model: typeof model === 'string' ? model : '' });
      question = undefined;
    } else throw bad(path, line, `a message of ${JSON.stringify(role)} cannot stand here`);
  }
  if (question !== undefined) throw bad(path, messages.at(-1)!.line, 'the last question has no answer');
  if (messages.length === 0) throw bad(path, 1, 'holds no messages');
  return { system, turns };
}
