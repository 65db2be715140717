// A model behind Vercel's AI SDK: its own types accept it, and its own functions get text, usage and errors from it.
import type { LanguageModelV3 } from '@ai-sdk/provider';
import { generateText, jsonSchema, Output, streamText } from 'ai';
import { describe, expect, it } from 'vitest';
import { createModel, languageModel } from '../../../src/assistant/index.ts';
import { HuacayaError } from '../../../src/base/index.ts';
import { fakeGenerator } from '../../helpers/fakeGenerator.ts';
import { scriptedAssistant } from '../../helpers/scriptedAssistant.ts';

async function sdkModel(...fake: Parameters<typeof fakeGenerator>) {
  const { assistant, generator, tokenizer } = await scriptedAssistant(fakeGenerator(...fake));
  const model: LanguageModelV3 = languageModel(createModel(assistant));
  return { model, assistant, generator, tokenizer };
}

describe('the AI SDK', () => {
  it('generates text', async () => {
    const { model, generator, tokenizer } = await sdkModel();
    const { text, usage, finishReason } = await generateText({
      model,
      system: 'Be brief.',
      prompt: 'Hello?',
      maxOutputTokens: 9,
      topP: 0.5,
      seed: 4,
      stopSequences: ['END'],
    });
    expect({ text, finishReason }).toEqual({ text: 'an answer', finishReason: 'stop' });
    const [request] = generator.requests;
    expect(request).toMatchObject({ maxNewTokens: 9, stop: ['END'], sampling: { temperature: 1, topP: 0.5, seed: 4 } });
    expect(tokenizer.decode(request!.promptIds)).toMatch(/Be brief\..*Hello\?/s);
    expect(usage).toMatchObject({ inputTokens: request!.promptIds.length, outputTokens: 2 });
  });

  it('streams text', async () => {
    const { model } = await sdkModel();
    const result = streamText({ model, prompt: 'Hello?' });
    const deltas: string[] = [];
    for await (const text of result.textStream) deltas.push(text);
    expect(deltas).toEqual(['an ', 'answer']);
    expect(await result.finishReason).toBe('stop');
    expect((await result.usage).outputTokens).toBe(2);
  });

  it('asks for JSON of a schema', async () => {
    const { model, generator } = await sdkModel(() => ['{"a":', '1}']);
    const schema = jsonSchema<{ a: number }>({
      type: 'object',
      properties: { a: { type: 'integer' } },
      required: ['a'],
    });
    const { output } = await generateText({ model, prompt: 'Hello?', output: Output.object({ schema }) });
    expect(output).toEqual({ a: 1 });
    expect(generator.requests[0]!.constraint).toBeDefined();
  });

  it('passes errors on', async () => {
    const fail = () => {
      throw new HuacayaError('TOO_LONG', 'too long');
    };
    const { model } = await sdkModel(fail);
    await expect(generateText({ model, prompt: 'Hello?', maxRetries: 0 })).rejects.toMatchObject({ code: 'TOO_LONG' });
    const errors: unknown[] = [];
    const result = streamText({ model, prompt: 'Hello?', onError: ({ error }) => void errors.push(error) });
    for await (const _ of result.textStream) {
    }
    expect(errors).toEqual([expect.objectContaining({ code: 'TOO_LONG' })]);
  });

  it('reads text only, and does not know tools', async () => {
    const { model, assistant } = await sdkModel();
    const image = { type: 'file' as const, mediaType: 'image/png', data: new Uint8Array(1) };
    await expect(model.doGenerate({ prompt: [{ role: 'user', content: [image] }] })).rejects.toMatchObject({
      code: 'USAGE',
    });
    const tool = { type: 'function' as const, name: 'f', inputSchema: {} };
    const call = {
      prompt: [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'x' }] }],
      tools: [tool],
    };
    expect((await model.doGenerate(call)).warnings).toEqual([{ type: 'unsupported', feature: 'tools' }]);
    expect(() => languageModel(createModel(assistant), 'nobody')).toThrow(/no model "nobody"/);
  });

  it('an aborted call is an error, and ends the request', async () => {
    const stop = new AbortController();
    const { model } = await sdkModel(() => {
      stop.abort(new Error('enough'));
      return ['never'];
    });
    const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'x' }] }];
    await expect(model.doGenerate({ prompt, abortSignal: stop.signal })).rejects.toThrow('enough');
  });
});
