// The loop of a chat: lines in, answers out. Nothing that goes wrong with a message ends it.
import { createInterface } from 'node:readline';
import { HuacayaError } from '../../base/index.ts';
import { answerTurn } from './answerTurn.ts';
import { runCommand } from './chatCommands.ts';
import type { ChatState } from './chatState.ts';
import { createInterrupts } from './interrupts.ts';
import { createMessageReader, type Message } from './messageReader.ts';

export async function converse(state: ChatState): Promise<void> {
  const { out } = state;
  // Only someone who types is prompted.
  const typed = process.stdin.isTTY === true;
  const lines = createInterface({ input: process.stdin, ...(typed ? { output: process.stderr } : {}) });
  const reader = createMessageReader();
  const interrupts = createInterrupts();
  let answering: AbortController | undefined;
  const ask = () => {
    lines.setPrompt(reader.open ? '. ' : '> ');
    if (typed) lines.prompt();
  };
  const onInterrupt = () => {
    const what = interrupts.press({ answering: answering !== undefined, typed: reader.open || lines.line !== '' });
    if (what === 'stop') return answering!.abort();
    if (what === 'leave') return lines.close();
    if (what === 'clear') {
      reader.cancel();
      lines.write(null, { ctrl: true, name: 'e' });
      lines.write(null, { ctrl: true, name: 'u' });
    }
    if (what === 'warn') out.say('\npress Ctrl-C once more, or Ctrl-D, to leave');
    ask();
  };
  const handle = async (message: Message): Promise<unknown> => {
    const text = message.text.trim();
    if (text === '') return undefined;
    answering = new AbortController();
    const { signal } = answering;
    try {
      const isCommand = !message.block && text.startsWith('/') && !text.startsWith('//');
      if (isCommand) return await runCommand(state, text, signal);
      return await answerTurn(state, message.block || !text.startsWith('//') ? text : text.slice(1), signal);
    } catch (e) {
      if (!(e instanceof HuacayaError)) throw e;
      out.error(e, false);
      return undefined;
    } finally {
      answering = undefined;
    }
  };
  // A terminal hands Ctrl-C to readline; without one it is a signal.
  lines.on('SIGINT', onInterrupt);
  process.on('SIGINT', onInterrupt);
  try {
    ask();
    for await (const line of lines) {
      interrupts.reset();
      const message = reader.push(line);
      if (message && (await handle(message)) === 'leave') return;
      ask();
    }
    const rest = reader.flush();
    if (rest) await handle(rest);
  } finally {
    process.off('SIGINT', onInterrupt);
    lines.close();
  }
}
