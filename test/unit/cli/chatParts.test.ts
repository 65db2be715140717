// Parts of the chat that need no model: lines to messages, Ctrl-C, transcripts, commands.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { answerTurn } from '../../../src/cli/chat/answerTurn.ts';
import { chatCommands, runCommand } from '../../../src/cli/chat/chatCommands.ts';
import { type ChatState, promptFor } from '../../../src/cli/chat/chatState.ts';
import { createInterrupts } from '../../../src/cli/chat/interrupts.ts';
import { createMessageReader } from '../../../src/cli/chat/messageReader.ts';
import { loadChat, saveChat } from '../../../src/cli/chat/transcript.ts';
import { defaultKnobs } from '../../../src/cli/knobs.ts';
import type { Output } from '../../../src/cli/output.ts';
import { fakeGenerator } from '../../helpers/fakeGenerator.ts';
import { scriptedAssistant } from '../../helpers/scriptedAssistant.ts';

const folder = mkdtempSync(join(tmpdir(), 'huacaya-chat-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = (extension: string) => join(folder, `${files++}${extension}`);

describe('lines become messages', () => {
  const read = (...lines: string[]) => {
    const reader = createMessageReader();
    const messages = lines.map((line) => reader.push(line)).filter((m) => m !== undefined);
    const rest = reader.flush();
    return rest ? [...messages, rest] : messages;
  };
  const plain = (text: string) => ({ text, block: false });
  const block = (text: string) => ({ text, block: true });

  it.each([
    [
      ['one', 'two'],
      [plain('one'), plain('two')],
    ],
    [
      ['"""', 'one', '', ' two', '"""', 'three'],
      [block('one\n\n two'), plain('three')],
    ],
    [['"""one', 'two"""'], [block('one\ntwo')]],
    [['  """one""" '], [block('one')]],
    [['"""', '/clear', '"""'], [block('/clear')]],
    [['"""', 'a \\', 'b', '"""'], [block('a \\\nb')]],
    [['one\\', 'two\\', 'three'], [plain('one\ntwo\nthree')]],
    [
      ['C:\\\\', 'two'],
      [plain('C:\\\\'), plain('two')],
    ],
    [['"""never', 'closed'], [block('never\nclosed')]],
    [['goes on\\'], [plain('goes on')]],
    [['say """hi"""'], [plain('say """hi"""')]],
  ])('%j', (lines, messages) => expect(read(...lines)).toEqual(messages));

  it('a line without marks is a message as it is', () => {
    const line = fc.string().filter((s) => !/[\n\r]/.test(s) && !s.endsWith('\\') && !s.trimStart().startsWith('"""'));
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        expect(read(...lines)).toEqual(lines.map(plain));
      }),
    );
  });

  it('what was begun can be forgotten', () => {
    const reader = createMessageReader();
    reader.push('"""one');
    expect(reader.open).toBe(true);
    reader.cancel();
    expect(reader.open).toBe(false);
    expect(reader.push('two')).toEqual(plain('two'));
    expect(reader.flush()).toBeUndefined();
  });
});

describe('Ctrl-C', () => {
  const idle = { answering: false, typed: false };
  it('stops an answer, clears a line, and leaves when it comes twice', () => {
    const { press } = createInterrupts();
    expect(press({ answering: true, typed: false })).toBe('stop');
    expect(press({ answering: true, typed: true })).toBe('stop');
    expect(press({ answering: false, typed: true })).toBe('clear');
    expect(press(idle)).toBe('warn');
    expect(press(idle)).toBe('leave');
  });

  it('counts from the start after anything else', () => {
    const interrupts = createInterrupts();
    interrupts.press(idle);
    interrupts.reset();
    expect(interrupts.press(idle)).toBe('warn');
    expect(interrupts.press({ answering: true, typed: false })).toBe('stop');
    expect(interrupts.press(idle)).toBe('warn');
  });
});

/** Keeps what a chat prints. */
class Spy {
  format = 'human';
  columns = 100;
  said: string[] = [];
  printed = '';
  say = (text: string) => void this.said.push(text);
  data(text: string) {
    this.printed += text;
  }
  piece(text: string) {
    this.printed += text;
  }
  json = () => {};
}

let spy: Spy;
let state: ChatState;
let requests: ReturnType<typeof fakeGenerator>['requests'];
const signal = new AbortController().signal;
async function begin(generator = fakeGenerator()) {
  const { assistant } = await scriptedAssistant(generator);
  await assistant.addAdapter('short', 'short');
  spy = new Spy();
  requests = generator.requests;
  const model = assistant.entry('tiny');
  const out = spy as unknown as Output;
  state = { out, assistant, model, knobs: defaultKnobs, system: undefined, turns: [], retries: 0, file: undefined };
}
beforeEach(() => begin());
const run = (line: string) => runCommand(state, line, signal);
const promptOf = (i: number) => state.assistant.tokenizer.decode(requests.at(i)!.promptIds);

describe('commands', () => {
  it('are each in the help', async () => {
    await run('/help');
    for (const { name } of chatCommands) expect(spy.said.join('\n')).toContain(`/${name} `);
  });

  it('choose who answers', async () => {
    await run('/adapter short');
    expect(state.model.id).toBe('short');
    await answerTurn(state, 'Hi', signal);
    expect(requests[0]).toMatchObject({ adapter: 'short' });
    await run('/adapter base');
    expect(state.model.id).toBe('tiny');
    await run('/adapter mine=chatty');
    expect(state.model).toMatchObject({ id: 'mine', remembers: true });
    await expect(run('/adapter shrot')).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' });
    await expect(run('/adapter x=nowhere')).rejects.toMatchObject({ code: 'ADAPTER_NOT_FOUND' });
    expect(state.model.id).toBe('mine');
    spy.said = [];
    await run('/adapter');
    expect(spy.said.map((s) => s.slice(0, 7))).toEqual(['  tiny:', '  short', '* mine:']);
  });

  it('compare without touching the conversation', async () => {
    await answerTurn(state, 'One?', signal);
    await run('/compare Two?');
    expect(requests.slice(1).map((r) => r.adapter)).toEqual([undefined, 'short']);
    expect(promptOf(1)).toMatch(/One\?.*Two\?/s);
    expect(spy.printed).toMatch(/tiny +\| short/);
    expect(state.turns).toHaveLength(1);
    await run('/compare');
    expect(promptOf(-2)).toMatch(/One\?/);
    expect(promptOf(-2)).not.toMatch(/an answer/);
  });

  it('change knobs together, or not at all', async () => {
    await run('/set temperature 0.7 top_p 0.9');
    expect(state.knobs).toMatchObject({ temperature: 0.7, topP: 0.9 });
    expect(spy.said.at(-1)).toBe('mode: sampling, temperature 0.7, top_p 0.9, seed 0');
    for (const bad of ['temperature 0', 'min-p 0.1 top-k x', 'max-new-tokens 0', 'top-k', 'warmth 3', 'stop "a']) {
      const before = state.knobs;
      await expect((async () => run(`/set ${bad}`))()).rejects.toMatchObject({ code: 'USAGE' });
      expect(state.knobs).toBe(before);
    }
    await run('/set temperature default top-p default');
    expect(state.knobs).toEqual(defaultKnobs);
    await run('/set stop "a b\\n"');
    expect(state.knobs.stop).toEqual(['a b\n']);
    await run('/set stop none');
    expect(state.knobs.stop).toEqual([]);
    spy.said = [];
    await run('/set');
    expect(spy.said).toHaveLength(Object.keys(defaultKnobs).length + 1);
    expect(spy.said.at(-1)).toBe('mode: greedy');
  });

  it('ask again with another seed, and keep the conversation before', async () => {
    await run('/retry');
    expect(spy.said.pop()).toBe('nothing was asked yet');
    await run('/set temperature 1 seed 5');
    await answerTurn(state, 'One?', signal);
    await answerTurn(state, 'Two?', signal);
    await run('/retry');
    await run('/retry');
    expect(requests.map((r) => r.sampling.seed)).toEqual([5, 5, 6, 7]);
    expect(promptOf(3)).toBe(promptOf(1));
    expect(state.turns.map((t) => t.question)).toEqual(['One?', 'Two?']);
    await answerTurn(state, 'Three?', signal);
    expect(requests.at(-1)!.sampling.seed).toBe(5);
  });

  it('undo, clear, and the system message', async () => {
    await run('/system Be brief.');
    await answerTurn(state, 'One?', signal);
    expect(promptOf(0)).toContain('Be brief.');
    await run('/undo');
    await run('/undo');
    expect(state.turns).toEqual([]);
    await answerTurn(state, 'Two?', signal);
    await run('/clear');
    expect(state).toMatchObject({ turns: [], system: 'Be brief.' });
    await run('/system none');
    expect(state.system).toBeUndefined();
  });

  it('that are unknown are said', async () => {
    await run('/claer');
    expect(spy.said.pop()).toBe('unknown command /claer; did you mean /clear?');
    await run('/constructor');
    expect(spy.said.pop()).toMatch(/^unknown command/);
    expect(await run('/bye')).toBe('leave');
  });
});

it('an answer that is stopped is kept as far as it came, or not at all', async () => {
  const stop = new AbortController();
  await begin(
    fakeGenerator(() => {
      setImmediate(() => stop.abort());
      return ['a', 'b', 'c', 'd', 'e'];
    }),
  );
  await answerTurn(state, 'One?', stop.signal);
  expect(state.turns).toHaveLength(1);
  expect('abcd').toContain(state.turns[0]!.answer);
  await answerTurn(state, 'Two?', stop.signal);
  expect(state.turns).toHaveLength(1);
});

it('where the conversation is too long, the oldest turns are left out of the prompt', async () => {
  const turn = (n: number) => ({ question: `Question ${n}?`, answer: 'x'.repeat(60), model: 'tiny' });
  state.turns = [1, 2, 3, 4, 5].map(turn);
  const { prompt, dropped } = promptFor(state, state.model, state.turns, 'Now?');
  expect(dropped).toBeGreaterThan(0);
  expect(prompt.ids.length + defaultKnobs.maxNewTokens).toBeLessThanOrEqual(512);
  const text = state.assistant.tokenizer.decode(prompt.ids);
  expect(text).not.toContain('Question 1?');
  expect(text).toContain('Question 5?');
  // One turn more would not fit.
  const more = promptFor({ ...state, knobs: { ...defaultKnobs, maxNewTokens: 1 } }, state.model, state.turns, 'Now?');
  expect(more.dropped).toBe(0);
});

describe('a transcript', () => {
  const turns = [
    { question: 'One\n"two"?', answer: ' {yes}\n', model: 'tiny' },
    { question: '', answer: '', model: 'short' },
  ];

  it('is read as it was written', async () => {
    const text = fc.string({ unit: 'grapheme' });
    const turn = fc.record({ question: text, answer: text, model: fc.constant('tiny') });
    const chat = fc.record({ system: fc.option(text, { nil: undefined }), turns: fc.array(turn, { minLength: 1 }) });
    const path = fresh('.jsonl');
    const property = fc.asyncProperty(chat, async (c) => {
      await saveChat(Object.assign(state, c), path, false);
      expect(await loadChat(path)).toEqual(c);
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it('for people is Markdown', async () => {
    const path = fresh('.md');
    await saveChat(Object.assign(state, { system: 'S', turns: turns.slice(0, 1) }), path, false);
    expect(readFileSync(path, 'utf8')).toBe('## system\n\nS\n\n## user\n\nOne\n"two"?\n\n## assistant\n\n{yes}\n');
  });

  it('replaces no file but its own, unless told', async () => {
    const path = fresh('.jsonl');
    writeFileSync(path, 'precious');
    state.turns = turns;
    await expect(run(`/save ${path}`)).rejects.toMatchObject({ code: 'USAGE' });
    expect(readFileSync(path, 'utf8')).toBe('precious');
    await run(`/save! ${path}`);
    await run(`/save ${path}`);
    expect((await loadChat(path)).turns).toEqual(turns);
    await expect(run('/save chat.txt')).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('of fine-tuning data is read too', async () => {
    const path = fresh('.jsonl');
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    writeFileSync(path, JSON.stringify({ messages }));
    expect(await loadChat(path)).toEqual({ system: undefined, turns: [{ question: 'a', answer: 'b', model: '' }] });
  });

  it.each([
    ['', /:1: holds no messages/],
    ['nonsense', /:1: is not JSON/],
    ['{"role":"user","content":"a"}\n{"role":"user","content":"b"}', /:2: a message of "user" cannot stand here/],
    ['{"role":"assistant","content":"a"}', /:1: a message of "assistant"/],
    ['\n{"role":"user","content":"a"}', /:2: the last question has no answer/],
    ['{"role":"user","content":7}', /:1: the message has no text/],
    ['null', /:1: the message has no text/],
    ['[]', /:1: the message has no text/],
  ])('that is broken changes nothing: %s', async (text, message) => {
    const path = fresh('.jsonl');
    writeFileSync(path, text);
    state.turns = turns;
    await expect(run(`/load ${path}`)).rejects.toMatchObject({
      code: 'BAD_CHAT_FILE',
      message: expect.stringMatching(message),
    });
    expect(state.turns).toBe(turns);
  });
});
