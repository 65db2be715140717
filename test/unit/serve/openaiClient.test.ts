// The official client against the server: everything that it can ask for, whole and streamed.
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as replies from '../../../src/serve/schemas/replies.ts';
import { type FakeServer, fakeServer, type Json } from '../../helpers/fakeServer.ts';

const model = 'fake-base';
const messages = [{ role: 'user' as const, content: 'Where does the alpaca rest?' }];
let s: FakeServer;
let client: OpenAI;
beforeAll(async () => {
  s = await fakeServer();
  client = s.client;
  await s.fake.assistant.addAdapter('tuned', 'good/adapter');
});
afterAll(() => s.close());

const lastRequest = () => s.fake.requests.at(-1)!;

interface Collected {
  text: string;
  chunks: Json[];
  last: Json;
}

/** What a stream adds up to; every chunk must keep to its schema. */
async function collect(stream: AsyncIterable<Json>, schema: { parse(chunk: unknown): unknown }): Promise<Collected> {
  const chunks: Json[] = [];
  for await (const chunk of stream) {
    schema.parse(chunk);
    chunks.push(chunk);
  }
  const text = chunks.flatMap((c) => c.choices).map((c: Json) => c.delta?.content ?? c.text ?? '');
  return { text: text.join(''), chunks, last: chunks.at(-1) };
}

/** Extensions as vLLM names them go through the client untyped. */
const extended = (body: object) => body as object as OpenAI.ChatCompletionCreateParamsNonStreaming;

describe('models', () => {
  it('lists base and adapters, and shows one', async () => {
    const list = await client.models.list();
    replies.modelListReply.parse({ object: list.object, data: list.data });
    expect(list.data.map((m) => m.id)).toEqual(['fake-base', 'tuned']);
    expect(await client.models.retrieve('tuned')).toMatchObject({ id: 'tuned', parent: 'fake-base' });
  });

  it('names the nearest model where there is none', async () => {
    const error = await client.models.retrieve('tunde').catch((e) => e);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', message: expect.stringContaining('tuned') });
  });
});

describe('chat completions', () => {
  it('answers whole and streamed with the same text and figures', async () => {
    const whole = await client.chat.completions.create({ model, messages });
    replies.chatReply.parse(whole);
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const streamed = await collect(stream, replies.chatChunk);
    expect(streamed.text).toBe(whole.choices[0]!.message.content);
    expect(streamed.text.length).toBeGreaterThan(20);
    expect(streamed.last).toMatchObject({ choices: [], usage: whole.usage, huacaya: { mode: 'greedy' } });
    expect(streamed.chunks.slice(0, -1).every((c) => c.usage === null && c.huacaya === undefined)).toBe(true);
    expect(new Set(streamed.chunks.map((c) => c.id)).size).toBe(1);
    expect(streamed.chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(streamed.chunks.at(-2).choices[0].finish_reason).toBe('stop');
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant', refusal: null } });
    const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = whole.usage!;
    expect(prompt_tokens).toBe(lastRequest().promptIds.length);
    expect(completion_tokens + prompt_tokens).toBe(total_tokens);
    expect(prompt_tokens_details?.cached_tokens).toBe(Math.floor(prompt_tokens / 2));
  });

  it('puts the figures in the last chunk where no usage is asked for', async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    const { chunks, last } = await collect(stream, replies.chatChunk);
    expect(last).toMatchObject({ choices: [{ finish_reason: 'stop', delta: {} }], huacaya: { mode: 'greedy' } });
    expect(chunks.every((c) => !('usage' in c))).toBe(true);
  });

  it('works with the helper of the client for streams', async () => {
    const runner = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    const final = await runner.finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe(
      (await client.chat.completions.create({ model, messages })).choices[0]!.message.content,
    );
    expect(final.usage!.total_tokens).toBeGreaterThan(0);
  });

  it('answers with adapters as models', async () => {
    const base = await client.chat.completions.create({ model, messages });
    const tuned = await client.chat.completions.create({ model: 'tuned', messages });
    expect(tuned).toMatchObject({ model: 'tuned', huacaya: { template: 'alpaca_short' } });
    expect(base).toMatchObject({ huacaya: { template: 'chat' } });
    expect(tuned.choices[0]!.message.content).not.toBe(base.choices[0]!.message.content);
    expect(lastRequest()).toMatchObject({ adapter: 'tuned', stop: ['### Instruction:', '### Response:'] });
  });

  it('hands every setting to the generator', async () => {
    await client.chat.completions.create(
      extended({
        model: 'tuned',
        messages,
        temperature: 0.7,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.05,
        repetition_penalty: 1.1,
        presence_penalty: 0.5,
        frequency_penalty: -0.5,
        logit_bias: { 65: -100, 66: 2.5 },
        seed: 11,
        stop: ['\n\n', 'END', 'x', 'y', 'z'],
        stop_token_ids: [3],
        ignore_eos: true,
        max_completion_tokens: 9,
        adapter_scale: 0.5,
        user: 'me',
        store: false,
        metadata: { a: 'b' },
        parallel_tool_calls: true,
        service_tier: 'auto',
      }),
    );
    expect(lastRequest()).toMatchObject({
      maxNewTokens: 9,
      stopIds: [3],
      ignoreEos: true,
      adapter: 'tuned',
      adapterScale: 0.5,
      sampling: {
        temperature: 0.7,
        topP: 0.9,
        topK: 40,
        minP: 0.05,
        repetitionPenalty: 1.1,
        presencePenalty: 0.5,
        frequencyPenalty: -0.5,
        seed: 11,
      },
    });
    expect(lastRequest().stop!.slice(-5)).toEqual(['\n\n', 'END', 'x', 'y', 'z']);
    expect([...lastRequest().sampling.logitBias]).toEqual([
      [65, -100],
      [66, 2.5],
    ]);
  });

  it('is greedy when nothing is said, takes null for that, and temperature 0 with top_p 1', async () => {
    const body = { model, messages, temperature: null, top_p: null, stop: null, seed: null, n: null, max_tokens: null };
    await client.chat.completions.create(extended(body));
    expect(lastRequest().sampling).toMatchObject({ temperature: 0, topP: 1, topK: 0 });
    expect(lastRequest().maxNewTokens).toBe(2048 - lastRequest().promptIds.length);
    await client.chat.completions.create({ model, messages, temperature: 0, top_p: 1, presence_penalty: 0 });
  });

  it('repeats with a seed, and names the seed that it took otherwise', async () => {
    const ask = (seed?: number) =>
      client.chat.completions.create({ model, messages, temperature: 1, ...(seed === undefined ? {} : { seed }) });
    const text = (c: OpenAI.ChatCompletion) => c.choices[0]!.message.content;
    const [a, b, other] = await Promise.all([ask(5), ask(5), ask(6)]);
    expect(text(a)).toBe(text(b));
    expect(text(other)).not.toBe(text(a));
    const free = await ask();
    const { seed, mode } = (free as object as { huacaya: { seed: number; mode: string } }).huacaya;
    expect(mode).toMatch(/^sampling/);
    expect(text(await ask(seed))).toBe(text(free));
  });

  it('gives n answers, whole and streamed, and counts the prompt once', async () => {
    const body = { model, messages, n: 3, temperature: 1, seed: 7 };
    const whole = await client.chat.completions.create(body);
    replies.chatReply.parse(whole);
    expect(whole.choices.map((c) => c.index)).toEqual([0, 1, 2]);
    expect(new Set(whole.choices.map((c) => c.message.content)).size).toBe(3);
    expect(whole.usage!.prompt_tokens).toBe(lastRequest().promptIds.length);
    const stream = await client.chat.completions.create({ ...body, stream: true });
    const { chunks } = await collect(stream, replies.chatChunk);
    for (const { index, message } of whole.choices) {
      const own = chunks.flatMap((c) => c.choices).filter((c: Json) => c.index === index);
      expect(own.map((c: Json) => c.delta.content ?? '').join('')).toBe(message.content);
      expect(own.filter((c: Json) => c.finish_reason !== null)).toHaveLength(1);
    }
    expect(chunks.filter((c) => c.huacaya)).toHaveLength(1);
  });

  it('ends at stop texts and at the limit, and says which', async () => {
    const whole = await client.chat.completions.create({ model, messages });
    const text = whole.choices[0]!.message.content!;
    const stop = text.split(' ')[3]!;
    const stopped = await client.chat.completions.create({ model, messages, stop });
    expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', stop_reason: stop });
    expect(stopped.choices[0]!.message.content).toBe(text.slice(0, text.indexOf(stop)));
    for (const limit of [{ max_tokens: 4 }, { max_completion_tokens: 4 }]) {
      const cut = await client.chat.completions.create({ model, messages, ...limit });
      expect(cut.choices[0]!.finish_reason).toBe('length');
      expect(cut.usage!.completion_tokens).toBe(4);
    }
  });

  it('reports log-probabilities, whole and streamed alike', async () => {
    const body = { model, messages, logprobs: true, top_logprobs: 2, max_tokens: 300 };
    const whole = await client.chat.completions.create(body);
    replies.chatReply.parse(whole);
    const content = whole.choices[0]!.logprobs!.content!;
    expect(content.map((t) => t.token).join('')).toBe(whole.choices[0]!.message.content);
    // The end token is no text: it is not reported.
    expect(content).toHaveLength(whole.usage!.completion_tokens - 1);
    expect(content[0]).toMatchObject({ logprob: -0.25, bytes: [...Buffer.from(content[0]!.token)] });
    expect(content.every((t) => t.top_logprobs.length === 2)).toBe(true);
    const stream = await client.chat.completions.create({ ...body, stream: true });
    const { chunks } = await collect(stream, replies.chatChunk);
    expect(chunks.flatMap((c) => c.choices).flatMap((c: Json) => c.logprobs?.content ?? [])).toEqual(content);
    const plain = await client.chat.completions.create({ model, messages, logprobs: true });
    expect(plain.choices[0]!.logprobs!.content![0]!.top_logprobs).toEqual([]);
  });

  it('keeps to a JSON schema', async () => {
    const schema = { type: 'object', properties: { answer: { type: 'integer' } } };
    for (const format of [
      { type: 'json_object' as const },
      { type: 'json_schema' as const, json_schema: { name: 'a', schema, strict: true } },
    ]) {
      const made = await client.chat.completions.create({ model, messages, response_format: format });
      expect(JSON.parse(made.choices[0]!.message.content!)).toEqual({ answer: 42 });
    }
    await client.chat.completions.create({ model, messages, response_format: { type: 'text' } });
    expect(lastRequest().constraint).toBeUndefined();
    const bad = client.chat.completions.create({
      model,
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { unsupported: true } } },
    });
    await expect(bad).rejects.toMatchObject({ status: 400, code: 'invalid_json_schema', param: 'response_format' });
  });

  it('takes text parts, the developer role, and its own answers as history', async () => {
    const first = await client.chat.completions.create({ model, messages });
    await client.chat.completions.create({
      model,
      messages: [
        { role: 'developer', content: 'Be short.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'one ' },
            { type: 'text', text: 'two' },
          ],
        },
        first.choices[0]!.message,
        { role: 'user', content: 'more' },
      ],
    });
    const prompt = s.fake.assistant.tokenizer.decode(lastRequest().promptIds);
    expect(prompt).toContain('system\nBe short.');
    expect(prompt).toContain('user\none two<|im_end|>');
    expect(prompt).toContain(`assistant\n${first.choices[0]!.message.content}<|im_end|>`);
  });
});

describe('completions', () => {
  it('goes on with text, several texts, ids, and several of them', async () => {
    const { tokenizer } = s.fake.assistant;
    const ids = tokenizer.encode('the alpaca');
    const one = await client.completions.create({ model, prompt: 'the alpaca', max_tokens: 200 });
    replies.completionReply.parse(one);
    expect(lastRequest().promptIds).toEqual(ids);
    const same = await client.completions.create({ model, prompt: ids, max_tokens: 200 });
    expect(same.choices[0]!.text).toBe(one.choices[0]!.text);
    const other = tokenizer.encode('the llama');
    for (const prompt of [
      ['the alpaca', 'the llama'],
      [ids, other],
    ]) {
      const two = await client.completions.create({ model, prompt: prompt as string[], max_tokens: 200 });
      expect(two.choices.map((c) => c.index)).toEqual([0, 1]);
      expect(two.choices[0]!.text).toBe(one.choices[0]!.text);
      expect(two.usage!.prompt_tokens).toBe(ids.length + other.length);
    }
    const many = await client.completions.create({ model, prompt: ['a', 'b'], n: 2, temperature: 1 });
    expect(many.choices.map((c) => c.index)).toEqual([0, 1, 2, 3]);
    expect(many.usage!.prompt_tokens).toBe(2);
  });

  it('streams the same text, with usage at the end, and stops after 16 tokens where nothing is said', async () => {
    const whole = await client.completions.create({ model, prompt: 'the alpaca' });
    expect(whole.usage!.completion_tokens).toBe(16);
    expect(whole.choices[0]!.finish_reason).toBe('length');
    const stream = await client.completions.create({
      model,
      prompt: 'the alpaca',
      stream: true,
      stream_options: { include_usage: true },
    });
    const { text, last } = await collect(stream, replies.completionReply);
    expect(text).toBe(whole.choices[0]!.text);
    expect(last).toMatchObject({ choices: [], usage: whole.usage });
  });

  it('reports log-probabilities in the older form', async () => {
    const whole = await client.completions.create({ model, prompt: 'the alpaca', logprobs: 2, max_tokens: 200 });
    const { tokens, token_logprobs, top_logprobs, text_offset } = whole.choices[0]!.logprobs!;
    const text = whole.choices[0]!.text;
    expect(tokens!.join('')).toBe(text);
    expect(text_offset!.map((at, i) => text.startsWith(tokens![i]!, at))).not.toContain(false);
    expect(token_logprobs).toHaveLength(tokens!.length);
    expect(Object.keys(top_logprobs![0]!).length).toBeGreaterThanOrEqual(2);
    const stream = await client.completions.create({
      model,
      prompt: 'the alpaca',
      logprobs: 2,
      max_tokens: 200,
      stream: true,
    });
    const { chunks } = await collect(stream, replies.completionReply);
    const offsets = chunks.flatMap((c) => c.choices).flatMap((c: Json) => c.logprobs?.text_offset ?? []);
    expect(offsets).toEqual(text_offset);
  });

  it('refuses what it cannot do', async () => {
    for (const [body, param] of [
      [{ echo: true }, 'echo'],
      [{ suffix: 'end' }, 'suffix'],
      [{ best_of: 3 }, 'best_of'],
      [{ prompt: [99_999] }, 'prompt'],
    ] as const) {
      const error = client.completions.create({ model, prompt: 'a', ...(body as object) });
      await expect(error).rejects.toMatchObject({ status: 400, param });
    }
    await client.completions.create({ model, prompt: 'a', echo: false, best_of: 1, suffix: null });
    await expect(client.completions.create({ model, prompt: '' })).rejects.toMatchObject({ status: 400 });
  });
});

describe('errors', () => {
  it.each([
    [{ temperature: 0, top_p: 0.9 }, 400, 'invalid_value', /top_p/],
    [{ top_k: 5 }, 400, 'invalid_value', /top_k.*temperature 0/],
    [{ n: 2 }, 400, 'invalid_value', /temperature/],
    [{ temprature: 1 }, 400, 'unknown_parameter', /did you mean "temperature"/],
    [{ temperature: 'hot' }, 400, 'invalid_value', /temperature/],
    [{ temperature: -1 }, 400, 'invalid_value', /temperature/],
    [{ temperature: 1e-320 }, 400, 'invalid_value', /at least 0\.000001/],
    [{ top_p: 0 }, 400, 'invalid_value', /top_p/],
    [{ messages: undefined }, 400, 'missing_required_parameter', /messages is missing/],
    [{ messages: [] }, 400, 'invalid_value', /messages/],
    [{ messages: [{ role: 'user' }] }, 400, 'missing_required_parameter', /messages\[0\]\.content is missing/],
    [{ messages: [{ role: 'robot', content: 'a' }] }, 400, 'invalid_value', /messages\[0\]/],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 400, 'invalid_value', /content\[0\]\.type/],
    [{ max_tokens: 0 }, 400, 'invalid_value', /max_tokens/],
    [{ max_tokens: 5000 }, 400, 'context_length_exceeded', /max_tokens is 5000.*2048/],
    [{ max_tokens: 5, max_completion_tokens: 6 }, 400, 'invalid_value', /one of them/],
    [{ top_logprobs: 3 }, 400, 'invalid_value', /logprobs: true/],
    [{ logit_bias: { 99999: 1 } }, 400, 'invalid_value', /99999/],
    [{ logit_bias: { word: 1 } }, 400, 'invalid_value', /token ids/],
    [{ functions: [] }, 400, 'unsupported_parameter', /use tools/],
    [{ reasoning_effort: 'low' }, 400, 'unsupported_parameter', /reasoning/],
    [{ adapter_scale: 2 }, 400, 'invalid_value', /base model/],
    [{ tool_choice: 'required' }, 400, 'invalid_value', /no tools/],
    [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 400, 'invalid_value', /tools/],
    [{ response_format: { type: 'xml' } }, 400, 'invalid_value', /response_format/],
    [{ model: 'nobody' }, 404, 'model_not_found', /nobody/],
    [{ messages: [{ role: 'user', content: 'a '.repeat(4000) }] }, 400, 'context_length_exceeded', /2048/],
    [
      { messages: [{ role: 'user', content: 'a'.repeat(100_000) }] },
      400,
      'context_length_exceeded',
      /100000 characters/,
    ],
  ])('case %#', async (body, status, code, message) => {
    for (const stream of [false, true]) {
      const error = await client.chat.completions
        .create(extended({ model, messages, stream, ...(body as object) }))
        .catch((e) => e);
      expect(error).toMatchObject({ status, code, message: expect.stringMatching(message as RegExp) });
      replies.errorReply.parse({ error: error.error });
    }
  });

  it('stream_options without a stream contradict themselves', async () => {
    const body = { model, messages, stream_options: { include_usage: true } };
    await expect(client.chat.completions.create(body)).rejects.toMatchObject({ status: 400, param: 'stream_options' });
  });

  it('null for a field that is not here is no wish', async () => {
    await client.chat.completions.create(extended({ model, messages, functions: null, reasoning_effort: null }));
  });
});

describe('the Alpaca form', () => {
  it('asks by the template of the adapter, whole and streamed', async () => {
    const body = { model: 'tuned', instruction: 'Name it.', input: 'a llama', max_tokens: 30 };
    const whole = await s.post('/v1/huacaya/instruct', body);
    expect(whole.status).toBe(200);
    replies.chatReply.parse(whole.body);
    const prompt = s.fake.assistant.tokenizer.decode(lastRequest().promptIds);
    expect(prompt).toBe('### Instruction:\nName it.\n\n### Input:\na llama\n\n### Response:\n');
    const streamed = await s.post('/v1/huacaya/instruct', { ...body, stream: true });
    const events = String(streamed.body).trimEnd().split('\n\n');
    expect(events.at(-1)).toBe('data: [DONE]');
    const chunks = events
      .slice(0, -1)
      .map((event) => replies.chatChunk.parse(JSON.parse(event.slice('data: '.length))));
    const text = chunks.flatMap((c) => c.choices).map((c) => c.delta.content ?? '');
    expect(text.join('')).toBe(whole.body.choices[0].message.content);
    expect((await s.post('/v1/huacaya/instruct', { model, instruction: '' })).status).toBe(400);
  });
});
