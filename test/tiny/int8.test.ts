// int8: not exact, but close enough on random weights, which are harder than trained ones.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import type { LoraConfig } from '../../src/models/index.ts';
import { moduleNames } from '../../src/models/index.ts';
import { InferencePass, int8IsExact } from '../../src/runner/index.ts';
import { referenceLogits, referenceLoss } from '../helpers/referenceLlama.ts';
import { type TinyConfig, tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  cosine,
  countTargets,
  loadTiny,
  lora,
  passWith,
  randomSequence,
  referenceLora,
  startRuntime,
} from '../helpers/tinyRun.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

const sequences = [randomSequence(24, 1, 3), randomSequence(31, 2)];
const weight = 1 / countTargets(sequences);

const cases: [string, TinyConfig, Partial<LoraConfig>][] = [
  ['tied, all modules', tinyConfigs.tied, {}],
  ['untied, all modules', tinyConfigs.untied, {}],
  ['llama3, q_proj and v_proj', tinyConfigs.llama3, { targetModules: ['q_proj', 'v_proj'] }],
];

describe.each(cases)('%s', (_name, config, changes) => {
  const model = tinyModel(config);

  it('has the loss and the gradient of fp32, nearly', async () => {
    const results = [];
    const settings = [{ precision: 'fp32' }, { precision: 'int8' }, { precision: 'int8', oneCopy: true }] as const;
    for (const setting of settings) {
      const { resident } = await loadTiny(runtime, model, setting);
      const { pass, layout, params } = await passWith(resident, lora(changes));
      const result = await pass.run(sequences, weight);
      expect(Math.abs(weight * (await pass.evaluate(sequences)) - result.loss)).toBeLessThan(1e-5);
      results.push({ ...result, expected: weight * referenceLoss(model, sequences, referenceLora(layout, params)) });
    }
    const [exact, ...both] = results;
    for (const coarse of both) {
      expect(Math.abs(coarse.loss / coarse.expected - 1)).toBeLessThan(0.02);
      expect(cosine(coarse.gradients, exact!.gradients)).toBeGreaterThan(0.95);
      const size = (g: Float32Array) => Math.sqrt(g.reduce((sum, x) => sum + x * x, 0));
      expect(Math.abs(size(coarse.gradients) / size(exact!.gradients) - 1)).toBeLessThan(0.1);
    }
  });
});

it.each([{ training: false }, { training: false, oneCopy: true }, { training: true, oneCopy: true }])(
  'predicts nearly the same in inference, with an adapter: %o',
  async (setting) => {
    const model = tinyModel(tinyConfigs.untied);
    const { resident } = await loadTiny(runtime, model, { precision: 'int8', ...setting });
    const { layout, params } = await passWith((await loadTiny(runtime, model)).resident, lora());
    const pass = await InferencePass.create(resident);
    const adapter = await pass.loadAdapter({ layout, params });
    const ids = [...randomSequence(20, 7).ids];
    const logits = await pass.advance(pass.createCache(20), ids, adapter);
    const expected = referenceLogits(model, ids, referenceLora(layout, params)).data.subarray(-300);
    expect(cosine(logits, expected)).toBeGreaterThan(0.99);
  },
);

it('holds its matrices in 8 bits', async () => {
  const { resident } = await loadTiny(runtime, tinyModel(), { precision: 'int8', training: false });
  for (const module of moduleNames) expect(resident.layers[0]![`${module}.w`]!.buffer.dtype).toBe('int8');
});

it('holds them once where memory counts, and the embedding in 8 bits too', async () => {
  const two = (await loadTiny(runtime, tinyModel(), { precision: 'int8' })).resident;
  const one = (await loadTiny(runtime, tinyModel(), { precision: 'int8', oneCopy: true })).resident;
  const held = (m: typeof one) => Object.entries(m.layers[0]!).filter(([, v]) => v.buffer.dtype === 'int8');
  expect(held(two)).toHaveLength(2 * moduleNames.length);
  expect(held(one).map(([name]) => name)).toEqual(moduleNames.map((m) => `${m}.w`));
  expect([two.embedding.table!.buffer.dtype, one.embedding.table!.buffer.dtype]).toEqual(['float32', 'int8']);
});

it('is refused where sums of 8-bit products are cut', async () => {
  expect(await int8IsExact(runtime)).toBe(true);
  // What a processor gives that adds pairs of products in 16 bits.
  const cut = new Float32Array(16).fill(32 * 32767 - 64 * 128 * 127);
  const old: Runtime = { ...runtime, read: async () => cut };
  expect(await int8IsExact(old)).toBe(false);
  const loading = loadTiny(old, tinyModel(), { precision: 'int8' });
  await expect(loading).rejects.toMatchObject({ code: 'INT8_UNSUPPORTED', hint: 'Use --precision fp32.' });
});
