// huacaya chat: a conversation in the terminal. Ctrl-C stops the answer, not the program; Ctrl-D leaves.
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import type { ChatMessage } from '../../tokenizer/index.ts';
import {
  addGenerationOptions,
  type Generation,
  type GenerationFlags,
  startGeneration,
  streamAnswer,
} from '../generation.ts';
import type { Output } from '../output.ts';

export function chatCommand(getOutput: () => Output): Command {
  return addGenerationOptions(new Command('chat').description('talk to a model in the terminal'))
    .addHelpText(
      'after',
      `
Ctrl-C stops an answer. /clear forgets the conversation, /bye or Ctrl-D leaves.
With a prompt template such as alpaca every question stands alone; the model's chat template remembers.

Example:
  huacaya chat --adapter runs/demo/adapter`,
    )
    .action(async (flags: GenerationFlags) => {
      const out = getOutput();
      const g = await startGeneration(out, flags);
      try {
        out.say(g.title);
        out.say('Type a message; /bye leaves.');
        await converse(out, g);
      } finally {
        await g.close();
      }
    });
}

async function converse(out: Output, g: Generation): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  const history: ChatMessage[] = [];
  let answering: AbortController | undefined;
  lines.on('SIGINT', () => {
    if (answering) answering.abort();
    else lines.close();
  });
  lines.prompt();
  for await (const line of lines) {
    const message = line.trim();
    if (message === '/bye') break;
    if (message === '/clear') history.length = 0;
    else if (message.startsWith('/')) out.say(`unknown command ${message}; known: /clear, /bye`);
    else if (message !== '') {
      answering = new AbortController();
      await answer(out, g, message, history, answering.signal);
      answering = undefined;
    }
    lines.prompt();
  }
  lines.close();
}

async function answer(out: Output, g: Generation, message: string, history: ChatMessage[], signal: AbortSignal) {
  const ids = g.prompts.build({ instruction: message }, history);
  const { text } = await streamAnswer(out, g, ids, { message }, signal);
  if (g.prompts.remembers) history.push({ role: 'user', content: message }, { role: 'assistant', content: text });
}
