// The official client and a real model: a short run through what a tiny random model cannot show.
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assistant } from '../../src/assistant/index.ts';
import { loadAssistant, storageFrom } from '../../src/assistant/node.ts';
import { type RunningServer, startServer } from '../../src/serve/index.ts';
import { goldenModel, goldenTitle } from '../golden/goldenModel.ts';
import { temporaryFolder } from '../helpers/tinyModel.ts';

describe.skipIf(!goldenModel)(`serve, ${goldenTitle}`, () => {
  const folder = temporaryFolder();
  let assistant: Assistant;
  let server: RunningServer;
  let client: OpenAI;
  let model = '';
  beforeAll(async () => {
    const storage = await storageFrom({ HUACAYA_CACHE: folder.path, HF_HOME: folder.path });
    assistant = await loadAssistant(goldenModel, { storage, contextLength: 512 });
    server = await startServer(assistant, { port: 0 });
    client = new OpenAI({ baseURL: `${server.url}v1`, apiKey: 'none', maxRetries: 0 });
    model = assistant.id;
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await assistant?.close();
    folder.remove();
  });
  const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];

  it('answers, and streams the same answer', async () => {
    const whole = await client.chat.completions.create({ model, messages, max_tokens: 20 });
    expect(whole.choices[0]!.message.content).toContain('Paris');
    const pieces: string[] = [];
    for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 20, stream: true })) {
      pieces.push(chunk.choices[0]?.delta.content ?? '');
    }
    expect(pieces.join('')).toBe(whole.choices[0]!.message.content);
    expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(3);
  });

  it('keeps to a JSON schema, and reports how probable its words were', async () => {
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 20 } },
      required: ['city'],
      additionalProperties: false,
    };
    const made = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 60,
      logprobs: true,
      top_logprobs: 3,
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema } },
    });
    expect(made.choices[0]!.finish_reason).toBe('stop');
    expect(Object.keys(JSON.parse(made.choices[0]!.message.content!))).toEqual(['city']);
    const tokens = made.choices[0]!.logprobs!.content!;
    expect(tokens.map((t) => t.token).join('')).toBe(made.choices[0]!.message.content);
    for (const { logprob, top_logprobs } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs).toHaveLength(3);
      expect(top_logprobs[0]!.logprob).toBeGreaterThanOrEqual(logprob);
    }
  });

  it('ends when its client leaves', async () => {
    const leaving = new AbortController();
    const endless = { model, messages, stream: true as const, ...({ ignore_eos: true } as object) };
    const stream = await client.chat.completions.create(endless, { signal: leaving.signal });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) break;
    }
    leaving.abort();
    const limit = performance.now() + 20_000;
    while (assistant.generator.stats().running > 0 && performance.now() < limit)
      await new Promise((r) => setTimeout(r, 10));
    expect(assistant.generator.stats()).toMatchObject({ running: 0, waiting: 0 });
  });
});
