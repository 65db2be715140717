// The commands of a chat, one row each.

import { resolve } from 'node:path';
import { nearNames } from '../../base/index.ts';
import { retryTurn } from './answerTurn.ts';
import type { ChatState } from './chatState.ts';
import { chooseModel } from './chooseModel.ts';
import { compareModels } from './compareModels.ts';
import { setKnobs } from './setKnobs.ts';
import { loadChat, saveChat } from './transcript.ts';

export interface ChatCommand {
  name: string;
  /** What may follow. */
  form: string;
  help: string;
  /** @returns 'leave' to end the chat. */
  run(state: ChatState, text: string, signal: AbortSignal): unknown;
}

function system(state: ChatState, text: string): void {
  if (text !== '') state.system = text === 'none' ? undefined : text;
  state.out.say(state.system === undefined ? 'no system message' : `system: ${state.system}`);
}

function undo({ out, turns }: ChatState): void {
  const turn = turns.pop();
  out.say(turn ? `forgotten: ${turn.question}` : 'nothing was asked yet');
}

function clear(state: ChatState): void {
  state.turns = [];
  state.out.say('the conversation is forgotten');
}

async function save(state: ChatState, text: string, replace = false): Promise<void> {
  if (text === '') return state.out.say('/save and a file: chat.jsonl, or chat.md');
  await saveChat(state, text, replace);
  state.out.say(`saved ${state.turns.length} turns: ${text}`);
}

async function load(state: ChatState, text: string): Promise<void> {
  if (text === '') return state.out.say('/load and a .jsonl file');
  Object.assign(state, await loadChat(text), { retries: 0, file: resolve(text) });
  state.out.say(`loaded ${state.turns.length} turns: ${text}`);
}

function help({ out }: ChatState): void {
  for (const c of chatCommands) out.say(`  ${`/${c.name} ${c.form}`.padEnd(26)} ${c.help}`);
  out.say('  """ begins and ends a message of several lines; a line that ends with \\ goes on in the next.');
  out.say('  Ctrl-C stops an answer, Ctrl-D leaves. //text sends a message that begins with /.');
}

export const chatCommands: readonly ChatCommand[] = [
  { name: 'adapter', form: '[name|base]', help: 'who answers; name=folder loads one more', run: chooseModel },
  { name: 'compare', form: '[question]', help: 'base model and adapter side by side', run: compareModels },
  { name: 'set', form: '[name value ...]', help: 'the knobs and the mode they come to', run: setKnobs },
  { name: 'system', form: '[text|none]', help: 'the system message', run: system },
  { name: 'retry', form: '', help: 'ask the last question again', run: (s, _, signal) => retryTurn(s, signal) },
  { name: 'undo', form: '', help: 'forget the last question and its answer', run: undo },
  { name: 'clear', form: '', help: 'forget the conversation', run: clear },
  { name: 'save', form: 'file', help: 'as .jsonl or .md; /save! replaces a file', run: (s, text) => save(s, text) },
  { name: 'load', form: 'file', help: 'go on with a conversation that was saved as .jsonl', run: load },
  { name: 'help', form: '', help: 'this list', run: help },
  { name: 'bye', form: '', help: 'leave', run: () => 'leave' },
];

const aliases: Record<string, ChatCommand['run']> = {
  'save!': (state, text) => save(state, text, true),
  quit: () => 'leave',
  exit: () => 'leave',
};

/** Runs a line that begins with /. @returns 'leave' to end the chat. */
export async function runCommand(state: ChatState, line: string, signal: AbortSignal): Promise<unknown> {
  const [, name = '', text = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? [];
  const run =
    chatCommands.find((c) => c.name === name)?.run ?? (Object.hasOwn(aliases, name) ? aliases[name] : undefined);
  if (run) return run(state, text.trim(), signal);
  const near = nearNames(
    name,
    chatCommands.map((c) => c.name),
  );
  state.out.say(`unknown command /${name}; ${near.length ? `did you mean /${near[0]}?` : '/help lists them'}`);
  return undefined;
}
