// The forward pass against the float64 reference: every variant of the architecture, from files to numbers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { InferencePass } from '../../src/runner/index.ts';
import { referenceLogits, referenceLoss, referenceNll } from '../helpers/referenceLlama.ts';
import { type TinyConfig, tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  largestDifference,
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

const variants: [string, TinyConfig][] = Object.entries(tinyConfigs);

/** The last position's logits after each of `lengths` tokens. */
async function lastLogits(pass: InferencePass, ids: readonly number[]) {
  const cache = pass.createCache(ids.length);
  const logits = await pass.advance(cache, ids);
  pass.freeCache(cache);
  return logits;
}

describe.each(variants)('%s', (_name, config) => {
  const model = tinyModel(config);
  const ids = [...randomSequence(40, 3).ids];

  it('gives the logits of the reference at several positions', async () => {
    const { resident } = await loadTiny(runtime, model, { training: false });
    const pass = await InferencePass.create(resident);
    const expected = referenceLogits(model, ids);
    for (const length of [1, 2, 17, 40]) {
      const row = expected.data.subarray((length - 1) * expected.cols, length * expected.cols);
      expect(largestDifference(await lastLogits(pass, ids.slice(0, length)), row)).toBeLessThan(1e-4);
    }
    // The numbers compared are worth comparing.
    const last = expected.data.subarray(-expected.cols);
    expect(Math.max(...last) - Math.min(...last)).toBeGreaterThan(5);
  });

  it('gives the loss of the reference, with and without an adapter', async () => {
    const { resident } = await loadTiny(runtime, model);
    const { pass, layout, params } = await passWith(resident, lora());
    const sequence = { ids: Int32Array.from(ids), targets: Int32Array.from([...ids.slice(1), -1]) };
    const adapted = referenceNll(model, ids, referenceLora(layout, params));
    expect((await pass.evaluate([sequence])) / (ids.length - 1)).toBeCloseTo(adapted, 4);
    await pass.setParameters(new Float32Array(layout.size));
    const plain = referenceNll(model, ids);
    expect((await pass.evaluate([sequence])) / (ids.length - 1)).toBeCloseTo(plain, 4);
    expect(Math.abs(adapted - plain)).toBeGreaterThan(0.01);
  });
});

it('reads a sharded checkpoint as the same model', async () => {
  const model = tinyModel(tinyConfigs.untied);
  const ids = [...randomSequence(9, 4).ids];
  const logits = [];
  for (const shards of [1, 3]) {
    const { resident } = await loadTiny(runtime, model, { training: false, shards });
    logits.push(await lastLogits(await InferencePass.create(resident), ids));
  }
  expect(logits[1]).toEqual(logits[0]);
});

it('counts a loss only where there is a target', async () => {
  const model = tinyModel();
  const { resident } = await loadTiny(runtime, model);
  const { pass } = await passWith(resident, lora({ targetModules: ['q_proj'] }));
  await pass.setParameters(new Float32Array(pass.image.layout.size));
  const whole = randomSequence(12, 6);
  for (const kept of [[10], [0], [3, 4, 9]]) {
    const targets = whole.targets.map((t, i) => (kept.includes(i) ? t : -1));
    const loss = await pass.evaluate([{ ids: whole.ids, targets }]);
    expect(loss).toBeCloseTo(referenceLoss(model, [{ ids: whole.ids, targets }]), 3);
  }
});
