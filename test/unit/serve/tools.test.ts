// Tools through the official client: what the template sees, what comes back, and calls that are forced.
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonConstraint } from '../../../src/serve/jsonConstraint.ts';
import * as replies from '../../../src/serve/schemas/replies.ts';
import { callSchema } from '../../../src/serve/toolChoice.ts';
import { fakeAssistant } from '../../helpers/fakeAssistant.ts';
import { type FakeServer, fakeServer } from '../../helpers/fakeServer.ts';

const tool = (name: string): OpenAI.ChatCompletionTool => ({
  type: 'function',
  function: {
    name,
    description: 'of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
});
const tools = [tool('weather'), tool('time')];
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Weather in La Paz?' }];
const model = 'fake-base';

describe.each(['tags', 'json'] as const)('a template with %s', (format) => {
  const call = (name: string) =>
    format === 'tags'
      ? `<tool_call>\n{"name": "${name}", "arguments": {"city": "La Paz"}}\n</tool_call>`
      : `{"name": "${name}", "parameters": {"city": "La Paz"}}`;
  let s: FakeServer;
  let answer = '';
  beforeAll(async () => {
    s = await fakeServer({ tools: format, script: () => answer, positions: 8192 });
  });
  afterAll(() => s.close());
  const create = (body: object) => s.client.chat.completions.create({ model, messages, tools, ...body });
  const prompt = () => s.fake.assistant.tokenizer.decode(s.fake.requests.at(-1)!.promptIds);

  it('gives calls back, whole and streamed', async () => {
    answer = format === 'tags' ? `${call('weather')}\n${call('time')}` : `${call('weather')}; ${call('time')}`;
    const whole = (await create({})) as OpenAI.ChatCompletion;
    replies.chatReply.parse(whole);
    expect(prompt()).toContain('"name": "weather"');
    expect(whole.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: null,
        tool_calls: [
          { type: 'function', function: { name: 'weather', arguments: '{"city":"La Paz"}' } },
          { type: 'function', function: { name: 'time' } },
        ],
      },
    });
    const runner = s.client.chat.completions.stream({ model, messages, tools });
    const chunks: unknown[] = [];
    runner.on('chunk', (chunk) => chunks.push(chunk));
    const final = await runner.finalChatCompletion();
    for (const chunk of chunks) replies.chatChunk.parse(chunk);
    const strip = (message: OpenAI.ChatCompletionMessage) =>
      message.tool_calls!.map((c) => c.type === 'function' && [c.function.name, c.function.arguments]);
    expect(strip(final.choices[0]!.message)).toEqual(strip(whole.choices[0]!.message));
    expect(final.choices[0]!.finish_reason).toBe('tool_calls');
    expect(new Set(final.choices[0]!.message.tool_calls!.map((c) => c.id)).size).toBe(2);
  });

  it('takes calls and results as history', async () => {
    answer = call('weather');
    const first = (await create({})) as OpenAI.ChatCompletion;
    answer = 'It is cold.';
    const [made] = first.choices[0]!.message.tool_calls!;
    const result = { role: 'tool' as const, tool_call_id: made!.id, content: '3 degrees' };
    const second = (await create({
      messages: [...messages, first.choices[0]!.message, result],
    })) as OpenAI.ChatCompletion;
    expect(second.choices[0]!.message).toMatchObject({ content: 'It is cold.' });
    expect(second.choices[0]!.finish_reason).toBe('stop');
    expect(prompt()).toContain('weather={"city": "La Paz"}');
    expect(prompt()).toContain('tool\n3 degrees');
  });

  it('forces a call', async () => {
    for (const tool_choice of [{ type: 'function', function: { name: 'time' } }] as const) {
      const whole = (await create({ tool_choice })) as OpenAI.ChatCompletion;
      expect(whole.choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: { content: null, tool_calls: [{ function: { name: 'time', arguments: '{"city":"Puno"}' } }] },
      });
      expect(s.fake.requests.at(-1)!.constraint).toBeDefined();
      expect(prompt().endsWith('<tool_call>\n')).toBe(format === 'tags');
      const final = await s.client.chat.completions
        .stream({ model, messages, tools, tool_choice })
        .finalChatCompletion();
      expect(final.choices[0]!.message.tool_calls).toHaveLength(1);
    }
  });

  it('leaves tools out when no call is wanted', async () => {
    answer = call('weather');
    const whole = (await create({ tool_choice: 'none' })) as OpenAI.ChatCompletion;
    expect(whole.choices[0]!.message).toMatchObject({ content: answer });
    expect(whole.choices[0]!.message.tool_calls).toBeUndefined();
    expect(prompt()).not.toContain('"name": "weather"');
  });

  it('at most one call where they must not be parallel', async () => {
    answer = format === 'tags' ? call('weather') + call('time') : `${call('weather')};${call('time')}`;
    const whole = (await create({ parallel_tool_calls: false })) as OpenAI.ChatCompletion;
    expect(whole.choices[0]!.message.tool_calls).toHaveLength(1);
  });

  it('refuses contradictions', async () => {
    const choice = { type: 'function', function: { name: 'nothing' } };
    await expect(create({ tool_choice: choice })).rejects.toMatchObject({ status: 400, param: 'tool_choice' });
    await expect(create({ tools: [tools[0], tools[0]] })).rejects.toMatchObject({ status: 400, param: 'tools' });
    const response_format = { type: 'json_object' };
    await expect(create({ response_format })).rejects.toMatchObject({ status: 400, param: 'response_format' });
    await create({ response_format, tool_choice: 'none' });
  });
});

describe('the schema of a forced call', () => {
  const { assistant } = fakeAssistant();
  /** Whether the real constraint lets this text through, whole. */
  function allows(schema: unknown, text: string): boolean {
    const constraint = jsonConstraint(assistant, schema);
    const bit = (id: number) => ((constraint.allowed()[id >>> 5]! >>> (id & 31)) & 1) === 1;
    for (const id of assistant.tokenizer.encode(text)) {
      if (!bit(id)) return false;
      constraint.accept(id);
    }
    return bit(assistant.tokenizer.eosIds[0]!);
  }
  const pydantic = {
    type: 'object' as const,
    $defs: { Unit: { enum: ['C', 'F'], type: 'string', title: 'Unit' } },
    properties: { city: { type: 'string', description: 'where' }, unit: { $ref: '#/$defs/Unit' } },
    required: ['city', 'unit'],
    additionalProperties: false,
  };
  const called = (name: string, parameters: Record<string, unknown>) => ({
    type: 'function' as const,
    function: { name, parameters },
  });

  it.each(['tags', 'json'] as const)('takes calls of one tool and of several, references included (%s)', (format) => {
    const key = format === 'tags' ? 'arguments' : 'parameters';
    const one = callSchema([called('weather', pydantic)], format);
    const two = callSchema([called('time', { type: 'object', properties: {} }), called('weather', pydantic)], format);
    for (const schema of [one, two]) {
      expect(allows(schema, `{"name": "weather", "${key}": {"city": "Puno", "unit": "C"}}`)).toBe(true);
      expect(allows(schema, `{"name": "weather", "${key}": {"city": "Puno", "unit": "K"}}`)).toBe(false);
      expect(allows(schema, `{"name": "weather", "${key}": {}}`)).toBe(false);
      expect(allows(schema, `{"name": "weather"}`)).toBe(false);
      expect(allows(schema, `{"name": "other", "${key}": {}}`)).toBe(false);
    }
    expect(allows(two, `{"name": "time", "${key}": {}}`)).toBe(true);
    const free = callSchema([{ type: 'function', function: { name: 'time' } }], format);
    expect(allows(free, `{"name": "time", "${key}": {"zone": 1}}`)).toBe(true);
  });
});
