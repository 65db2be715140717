// The library on a real, tiny model: three lines are enough, adapters come and go, several questions at a time.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { loadModel, type Model } from '../../src/index.ts';
import { configFromJson, loraLayout } from '../../src/models/index.ts';
import { saveAdapter } from '../../src/models/node.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import { lora, randomParams } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder.path, name);
const env = { HUACAYA_CACHE: path('cache'), HF_HOME: path('hf') };
let model: Model;
beforeAll(async () => {
  writeTinyModel(path('tiny'), tinyModel());
  const config = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.tied });
  const layout = loraLayout(config, lora({ targetModules: ['q_proj'] }));
  for (const [name, seed] of [
    ['one', 5],
    ['two', 6],
  ] as const) {
    await saveAdapter(path(name), { layout, params: randomParams(layout, seed), baseModel: 'tiny' });
  }
  model = await loadModel(path('tiny'), { adapters: { short: path('one') }, threads: 1 }, env);
});
afterAll(async () => {
  await model.close();
  folder.remove();
});

it('streams an answer that is the whole answer', async () => {
  let streamed = '';
  for await (const text of model.stream('Hello?', { model: 'short', maxNewTokens: 12 })) streamed += text;
  const whole = await model.ask('Hello?', { model: 'short', maxNewTokens: 12 });
  expect(streamed).toBe(whole.text);
  expect(whole).toMatchObject({ finish: expect.any(String), promptTokens: expect.any(Number) });
});

it('answers several at a time as one after the other', async () => {
  const questions = ['One?', 'Two?', 'Three?', 'Four?', 'Five?', 'Six?'];
  const options = (i: number) => ({ maxNewTokens: 10, temperature: 1, seed: i, model: i % 2 ? 'short' : 'tiny' });
  const together = await Promise.all(questions.map((q, i) => model.ask(q, options(i))));
  for (const [i, q] of questions.entries()) expect((await model.ask(q, options(i))).text).toBe(together[i]!.text);
});

it('loads and removes adapters while it runs', async () => {
  const before = await model.ask('Hello?', { maxNewTokens: 10 });
  await model.addAdapter('second', path('two'));
  expect(model.models.map((m) => m.id)).toEqual(['tiny', 'short', 'second']);
  const asked = { maxNewTokens: 10, model: 'second' };
  expect((await model.ask('Hello?', asked)).text).not.toBe(
    (await model.ask('Hello?', { ...asked, model: 'short' })).text,
  );
  await model.removeAdapter('second');
  await expect(model.ask('Hello?', asked)).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' });
  expect((await model.ask('Hello?', { maxNewTokens: 10 })).text).toBe(before.text);
});

it('a loop that is left early ends the request', async () => {
  for await (const _ of model.stream('Hello?', { maxNewTokens: 400 })) break;
  await vi.waitFor(() => expect(model.assistant.generator.stats()).toMatchObject({ running: 0, waiting: 0 }), 5000);
});

it('says what is wrong before it loads, and looks at no other environment', async () => {
  const wrong = async (...call: Parameters<typeof loadModel>) =>
    loadModel(...call).then(
      (m) => m.close().then(() => 'loaded'),
      (e) => e.code,
    );
  expect(await wrong('smollm2-135m-instruct', {}, env)).toBe('MODEL_NOT_FOUND');
  expect(await wrong(path('nope'), {}, env)).toBe('FILE_NOT_FOUND');
  expect(await wrong(path('tiny'), { adapters: { a: path('nope') } }, env)).toBe('ADAPTER_NOT_FOUND');
  expect(await wrong(path('tiny'), { adapters: { 'a b': path('one') } }, env)).toBe('USAGE');
  expect(await wrong(path('tiny'), { slots: 0 }, env)).toBe('USAGE');
  expect(await wrong(path('tiny'), { precision: 'int2' as never }, env)).toBe('USAGE');
  expect(await wrong(path('tiny'), { promptTemplateName: 'alpca' }, env)).toBe('TEMPLATE_NOT_FOUND');
});
