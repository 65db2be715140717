// Keys and values in 8 bits: the engine's answers are near to those with keys and values in float, in every kind of pass.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { loraLayout } from '../../src/models/index.ts';
import { type DecodeEngine, decodePrecisions, type InferencePass } from '../../src/runner/index.ts';
import { feed, onePass, plainLogits, plainPass, step, tinyEngines } from '../helpers/tinyDecode.ts';
import { tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import { lora, randomParams, randomSequence, relativeError, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
const engines = tinyEngines();
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(async () => {
  await runtime.close();
  await engines.remove();
});

const text = [...randomSequence(90, 3).ids];
const near = 0.03;

describe.each(Object.entries(tinyConfigs))('%s', (_name, config) => {
  const model = tinyModel(config);
  let engine: DecodeEngine;
  let plain: InferencePass;
  beforeAll(async () => {
    engine = await engines.open(runtime, model, { precision: 'fp32', kvPrecision: 'int8' });
    plain = await plainPass(runtime, model, 'fp32');
  });

  const expectNear = async (made: Float32Array, ids: readonly number[]) => {
    const off = relativeError(made, await plainLogits(plain, ids));
    expect(off).toBeLessThan(near);
    expect(off).toBeGreaterThan(1e-5);
  };

  it('a prompt at once, in pieces, and token by token', async () => {
    await expectNear(await feed(engine, 0, [text]), text);
    await expectNear(await feed(engine, 1, [text.slice(0, 50), text.slice(50, 89), text.slice(89)]), text);
    await expectNear(
      await feed(
        engine,
        2,
        text.slice(0, 20).map((id) => [id]),
      ),
      text.slice(0, 20),
    );
  });

  it('slots with different pasts, and copies of them', async () => {
    await engine.extend(onePass(0, 0, text.slice(0, 30)));
    await engine.extend(onePass(1, 0, text.slice(40, 47)));
    engine.copyPrefix(0, 2, 0, 20);
    const rows = await step(engine, 0, [
      { past: 30, id: 9 },
      { past: 7, id: 8 },
      { past: 20, id: 7 },
    ]);
    await expectNear(rows[0]!, [...text.slice(0, 30), 9]);
    await expectNear(rows[1]!, [...text.slice(40, 47), 8]);
    await expectNear(rows[2]!, [...text.slice(0, 20), 7]);
  });

  it('with an adapter', async () => {
    const layout = loraLayout(plain.model.config, lora({ targetModules: ['q_proj', 'k_proj', 'v_proj'] }));
    const adapter = { layout, params: randomParams(layout, 4).map((p) => p / 2) };
    engine.setAdapter('a', adapter);
    const made = await feed(engine, 3, [text.slice(0, 40)], { adapter: { name: 'a', scale: 1 } });
    expect(relativeError(made, await plainLogits(plain, text.slice(0, 40), adapter))).toBeLessThan(2 * near);
    engine.setAdapter('a', undefined);
  });
});

it.each(decodePrecisions)('changes little in %s', async (precision) => {
  const model = tinyModel();
  const fp32 = await engines.open(runtime, model, { precision });
  const int8 = await engines.open(runtime, model, { precision, kvPrecision: 'int8' });
  const expected = await feed(fp32, 0, [text]);
  expect(relativeError(await feed(int8, 0, [text]), expected)).toBeLessThan(2 * near);
});

it('scales that were found with a text of its own are as good as those of other tokens', async () => {
  const model = tinyModel();
  const plain = await plainPass(runtime, model, 'fp32');
  for (const sampleIds of [text, []]) {
    const engine = await engines.open(runtime, model, { precision: 'fp32', kvPrecision: 'int8', sampleIds });
    expect(relativeError(await feed(engine, 0, [text]), await plainLogits(plain, text))).toBeLessThan(near);
  }
});
