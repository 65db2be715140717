// int4 is fp32 on the weights that the 4 bits stand for; a matrix that was stored as GGUF's Q4_0 or Q4_1 loses nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { floatToHalf, halfToFloat } from '../../src/base/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import { dtypeBytes } from '../../src/graph/index.ts';
import { InferencePass } from '../../src/runner/index.ts';
import { type TinyModel, tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  countTargets,
  largestDifference,
  loadTiny,
  lora,
  passWith,
  randomSequence,
  relativeError,
  startRuntime,
} from '../helpers/tinyRun.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

const sequences = [randomSequence(24, 1, 3), randomSequence(31, 2)];
const weight = 1 / countTargets(sequences);
const half = (x: number) => halfToFloat(floatToHalf(x));

/** Rounds a block to 16 even steps, as Q4_1 does. */
function onSteps(values: Float32Array): Float32Array {
  const low = half(Math.min(...values));
  const step = half((Math.max(...values) - Math.min(...values)) / 15);
  return values.map((v) =>
    Math.fround(Math.fround(Math.min(15, Math.max(0, Math.round((v - low) / step))) * step) + low),
  );
}

/** The model whose projections were stored in Q4_1. */
function storedInQ4(model: TinyModel): TinyModel {
  const tensors = new Map(model.tensors);
  for (const [name, { shape, data }] of tensors) {
    if (!name.includes('_proj')) continue;
    const rounded = new Float32Array(data.length);
    const width = shape[1]!;
    const block = Math.min(32, width & -width);
    for (let i = 0; i < data.length; i += block) rounded.set(onSteps(data.subarray(i, i + block)), i);
    tensors.set(name, { shape, data: rounded });
  }
  return { ...model, tensors };
}

describe.each(Object.entries(tinyConfigs))('int4 of %s', (_, config) => {
  it('is exact on a model that was stored in Q4_1', async () => {
    const model = storedInQ4(tinyModel(config));
    const [fp32, int4] = [await loadTiny(runtime, model), await loadTiny(runtime, model, { precision: 'int4' })];
    const results = [];
    for (const { resident } of [fp32, int4]) {
      const { pass } = await passWith(resident, lora());
      results.push(await pass.run(sequences, weight));
      pass.release();
    }
    expect(Math.abs(results[1]!.loss / results[0]!.loss - 1)).toBeLessThan(1e-5);
    expect(relativeError(results[1]!.gradients, results[0]!.gradients)).toBeLessThan(1e-4);
  });

  it('stays near the exact model on any weights', async () => {
    const model = tinyModel(config);
    const [fp32, int4] = [await loadTiny(runtime, model), await loadTiny(runtime, model, { precision: 'int4' })];
    const losses = [];
    for (const { resident } of [fp32, int4]) {
      const { pass } = await passWith(resident, lora());
      losses.push(await pass.evaluate(sequences));
      pass.release();
    }
    expect(Math.abs(losses[1]! / losses[0]! - 1)).toBeLessThan(0.02);
    expect(losses[1]).not.toBe(losses[0]);
  });
});

it('keeps 5 bits a weight, and generates from them', async () => {
  const model = storedInQ4(tinyModel(tinyConfigs.untied));
  const [fp32, int4] = [
    await loadTiny(runtime, model),
    await loadTiny(runtime, model, { precision: 'int4', training: false }),
  ];
  const views = Object.entries(int4.resident.layers[0]!).filter(([name]) => name.startsWith('down_proj'));
  const { hiddenSize, intermediateSize } = int4.resident.config;
  const bits = 8 * views.reduce((n, [, v]) => n + v.buffer.length * dtypeBytes[v.buffer.dtype], 0);
  const block = Math.min(32, intermediateSize & -intermediateSize);
  expect(bits / (hiddenSize * intermediateSize)).toBeCloseTo(4 + 32 / block, 6);
  const logits = [];
  for (const { resident } of [fp32, int4]) {
    const pass = await InferencePass.create(resident);
    logits.push(await pass.advance(pass.createCache(8), [1, 2, 3]));
  }
  expect(largestDifference(logits[0]!, logits[1]!)).toBeLessThan(1e-3);
});
