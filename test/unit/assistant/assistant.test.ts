// Names, prompts and requests of an assistant, over a generator that only keeps what it is asked.
import { beforeEach, describe, expect, it } from 'vitest';
import { createModel } from '../../../src/assistant/index.ts';
import { idOfFolder } from '../../../src/assistant/node.ts';
import { defaultSampling } from '../../../src/infer/index.ts';
import { scriptedAssistant } from '../../helpers/scriptedAssistant.ts';

let made: Awaited<ReturnType<typeof scriptedAssistant>>;
beforeEach(async () => {
  made = await scriptedAssistant();
});

const textOf = (ids: readonly number[]) => made.tokenizer.decode(ids);

describe('models', () => {
  it('are the base model first, then adapters in the order they came', async () => {
    await made.assistant.addAdapter('one', 'short');
    await made.assistant.addAdapter('two', 'chatty');
    expect(made.assistant.models).toEqual([
      { id: 'tiny', kind: 'base', template: 'chat', remembers: true },
      { id: 'one', kind: 'adapter', template: 'alpaca_short', remembers: false, source: 'short' },
      { id: 'two', kind: 'adapter', template: 'chat', remembers: true, source: 'chatty' },
    ]);
    expect(made.generator.adapters).toEqual(['one', 'two']);
    await made.assistant.removeAdapter('one');
    expect(made.assistant.models.map((m) => m.id)).toEqual(['tiny', 'two']);
    expect(made.generator.adapters).toEqual(['two']);
    await made.assistant.addAdapter('one', 'chatty');
    expect(made.assistant.entry('one').template).toBe('chat');
  });

  it('that are unknown are answered with the nearest names', async () => {
    await made.assistant.addAdapter('shortly', 'short');
    const unknown = { code: 'UNKNOWN_MODEL', exitCode: 2, hint: expect.stringContaining('shortly') };
    expect(() => made.assistant.entry('shortli')).toThrow(expect.objectContaining(unknown));
    expect(() => made.assistant.answer({ ids: [1], stop: [] }, { model: 'nothing like it' })).toThrow(
      expect.objectContaining({ ...unknown, hint: 'Known: tiny, shortly.' }),
    );
    await expect(made.assistant.removeAdapter('x')).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' });
    await expect(made.assistant.removeAdapter('tiny')).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('have names of their own, also while they are loaded', async () => {
    const { assistant } = made;
    await expect(assistant.addAdapter('tiny', 'short')).rejects.toMatchObject({ code: 'USAGE' });
    const first = assistant.addAdapter('a', 'short');
    await expect(assistant.addAdapter('a', 'chatty')).rejects.toMatchObject({ code: 'USAGE' });
    await first;
    expect(assistant.entry('a').template).toBe('alpaca_short');
    await expect(assistant.addAdapter('b', 'nowhere')).rejects.toMatchObject({ code: 'ADAPTER_NOT_FOUND' });
    await assistant.addAdapter('b', 'short');
    for (const bad of ['', 'a b', 'a/b', '../x', '-x', 'a\n', 'x'.repeat(101)]) {
      await expect(assistant.addAdapter(bad, 'short')).rejects.toMatchObject({ code: 'USAGE' });
    }
  });
});

it('an adapter without a name is called after its folder', () => {
  expect(idOfFolder('runs/demo/adapter')).toBe('demo');
  expect(idOfFolder('runs/demo/adapter/')).toBe('demo');
  expect(idOfFolder('runs/demo')).toBe('demo');
  expect(idOfFolder('./my adapter (2)')).toBe('my-adapter-2-');
  expect(idOfFolder('/adapter')).toBe('adapter');
  expect(idOfFolder('runs/demo', ['demo', 'demo-2'])).toBe('demo-3');
});

describe('prompts', () => {
  const talk = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: 'Yes.' },
    { role: 'user', content: 'Two?' },
  ];

  it('of a chat template hold the whole conversation', () => {
    const text = textOf(made.assistant.chatPrompt('tiny', talk).ids);
    expect(text.match(/Be brief\.|One\?|Yes\.|Two\?/g)).toEqual(['Be brief.', 'One?', 'Yes.', 'Two?']);
    expect(text).toMatch(/<\|im_start\|>assistant\n$/);
  });

  it('of a prompt template hold the last question alone', async () => {
    await made.assistant.addAdapter('a', 'short');
    const { ids, stop } = made.assistant.chatPrompt('a', talk);
    expect(textOf(ids)).toBe('### Instruction:\nTwo?\n\n### Response:\n');
    expect(stop).toEqual(['### Instruction:', '### Response:']);
    const form = made.assistant.instructionPrompt('a', { instruction: 'Add.', input: '1 2' });
    expect(textOf(form.ids)).toBe('### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n');
    expect(() => made.assistant.chatPrompt('a', [talk[0]!])).toThrow(/no message of the user/);
  });

  it('of an instruction with an input are one message', () => {
    const text = textOf(made.assistant.instructionPrompt('tiny', { instruction: 'Add.', input: '1 2' }).ids);
    expect(text).toContain('Add.\n\n1 2<|im_end|>');
    expect(textOf(made.assistant.instructionPrompt('tiny', { instruction: 'Add.', input: '' }).ids)).toContain(
      'Add.<|im_end|>',
    );
  });

  it('refuse tools that the template does not take, and conversations of nothing', async () => {
    await made.assistant.addAdapter('a', 'short');
    for (const model of ['tiny', 'a']) {
      expect(() => made.assistant.chatPrompt(model, talk, [{}])).toThrow(/no place for tools/);
      expect(() => made.assistant.chatPrompt(model, talk, [])).not.toThrow();
      expect(() => made.assistant.chatPrompt(model, [])).toThrow(expect.objectContaining({ code: 'USAGE' }));
    }
  });
});

describe('an answer', () => {
  it('is asked for with defaults, the stops of the prompt, and the adapter', async () => {
    await made.assistant.addAdapter('a', 'short');
    const prompt = made.assistant.instructionPrompt('a', { instruction: 'Hi' });
    for await (const _ of made.assistant.answer(prompt)) {
    }
    const sampling = { temperature: 0.5, topK: undefined as never };
    const options = { model: 'a', stop: ['END'], maxNewTokens: undefined as never, adapterScale: 0.5, sampling };
    for await (const _ of made.assistant.answer(prompt, options)) {
    }
    const [plain, adapted] = made.generator.requests;
    expect(plain).toEqual({ promptIds: prompt.ids, maxNewTokens: 256, stop: prompt.stop, sampling: defaultSampling });
    expect(adapted).toEqual({
      promptIds: prompt.ids,
      maxNewTokens: 256,
      stop: [...prompt.stop, 'END'],
      adapter: 'a',
      adapterScale: 0.5,
      sampling: { ...defaultSampling, temperature: 0.5 },
    });
  });
});

describe('the library', () => {
  it('streams text, and returns the whole', async () => {
    const model = createModel(made.assistant);
    const texts: string[] = [];
    const stream = model.stream('Hello?', { temperature: 0.5, seed: 3, maxNewTokens: 5 });
    let next = await stream.next();
    for (; !next.done; next = await stream.next()) texts.push(next.value);
    expect(texts).toEqual(['an ', 'answer']);
    expect(next.value.text).toBe('an answer');
    expect(made.generator.requests[0]).toMatchObject({
      maxNewTokens: 5,
      sampling: { temperature: 0.5, seed: 3, topP: 1 },
    });
    expect(made.generator.requests[0]).not.toHaveProperty('temperature');
  });

  it('takes a text, an instruction or a conversation', async () => {
    await made.assistant.addAdapter('a', 'short');
    const model = createModel(made.assistant);
    await model.ask('One?', { model: 'a' });
    await model.ask({ instruction: 'Add.', input: '1' }, { model: 'a' });
    await model.chat([{ role: 'user', content: 'Two?' }], { model: 'a' });
    const asked = made.generator.requests.map((r) => textOf(r.promptIds).replace(/### /g, ''));
    expect(asked).toEqual([
      'Instruction:\nOne?\n\nResponse:\n',
      'Instruction:\nAdd.\n\nInput:\n1\n\nResponse:\n',
      'Instruction:\nTwo?\n\nResponse:\n',
    ]);
    await expect(model.ask('?', { model: 'b' })).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' });
    await model.close();
    expect(made.generator.closed).toBe(true);
  });
});
