// Generation on a real, tiny model: greedy follows the reference, sampling follows the seed.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { type GenerateOptions, generate, generateText } from '../../src/infer/index.ts';
import { loraLayout } from '../../src/models/index.ts';
import { InferencePass } from '../../src/runner/index.ts';
import { renderChat, type Tokenizer } from '../../src/tokenizer/index.ts';
import { type ReferenceLora, referenceLogits } from '../helpers/referenceLlama.ts';
import { tinyModel } from '../helpers/tinyModel.ts';
import { loadTiny, lora, randomParams, referenceLora, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
let pass: InferencePass;
let tokenizer: Tokenizer;
let prompt: number[];
const model = tinyModel();
beforeAll(async () => {
  runtime = await startRuntime();
  const loaded = await loadTiny(runtime, model, { training: false });
  pass = await InferencePass.create(loaded.resident);
  tokenizer = loaded.tokenizer;
  const chat = renderChat(tokenizer, [{ role: 'user', content: 'the end' }], { addGenerationPrompt: true });
  prompt = tokenizer.encode(chat);
});
afterAll(() => runtime.close());

const options: GenerateOptions = { temperature: 0, topP: 1, topK: 0, maxNewTokens: 12, seed: 0 };
const sampling: GenerateOptions = { ...options, temperature: 1.2 };

/** The most probable continuation by the reference. */
function referenceGreedy(length: number, adapter?: ReferenceLora) {
  const ids = [...prompt];
  while (ids.length < prompt.length + length) {
    const last = referenceLogits(model, ids, adapter).data.subarray(-300);
    const best = last.indexOf(last.reduce((a, b) => Math.max(a, b)));
    ids.push(best);
    if (tokenizer.eosIds.includes(best)) break;
  }
  return ids.slice(prompt.length);
}

it('greedy takes the reference model’s most probable tokens, with and without an adapter', async () => {
  const layout = loraLayout(pass.model.config, lora());
  const params = randomParams(layout);
  const adapter = await pass.loadAdapter({ layout, params });
  const plain = referenceGreedy(12);
  const adapted = referenceGreedy(12, referenceLora(layout, params));
  expect(adapted).not.toEqual(plain);
  expect((await generateText(pass, tokenizer, prompt, options)).ids).toEqual(plain);
  expect((await generateText(pass, tokenizer, prompt, { ...options, adapter })).ids).toEqual(adapted);
  expect((await generateText(pass, tokenizer, prompt, options)).ids).toEqual(plain);
});

it('sampling repeats with its seed and differs with another', async () => {
  const draw = async (seed: number) => (await generateText(pass, tokenizer, prompt, { ...sampling, seed })).ids;
  expect(await draw(1)).toEqual(await draw(1));
  expect(await draw(1)).not.toEqual(await draw(2));
});

it('streams the text that it returns', async () => {
  for (const seed of [1, 2, 3]) {
    const stream = generate(pass, tokenizer, prompt, { ...sampling, seed, maxNewTokens: 30 });
    let shown = '';
    for (;;) {
      const next = await stream.next();
      if (next.done) {
        expect(next.value.text).toBe(shown);
        expect(next.value.text).toBe(tokenizer.decode(next.value.ids, { skipSpecial: true }));
        break;
      }
      shown += next.value;
    }
  }
});

it('refuses a prompt that leaves no room', async () => {
  await expect(generateText(pass, tokenizer, prompt, { ...options, maxNewTokens: 512 })).rejects.toMatchObject({
    code: 'TOO_LONG',
    message: expect.stringMatching(new RegExp(`${prompt.length + 512} positions.*512`)),
  });
});
