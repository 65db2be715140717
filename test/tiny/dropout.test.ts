// Dropout on the adapters' inputs: reproducible, the same mask forward and backward, and off when it should be.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../src/base/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import { dropoutMask } from '../../src/runner/index.ts';
import { referenceLoss } from '../helpers/referenceLlama.ts';
import { tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  countTargets,
  drawnMasks,
  loadTiny,
  lora,
  passWith,
  randomSequence,
  referenceLora,
  relativeError,
  startRuntime,
} from '../helpers/tinyRun.ts';

let runtime: Runtime;
const model = tinyModel(tinyConfigs.untied);
let loaded: Awaited<ReturnType<typeof loadTiny>>;
let dropping: Awaited<ReturnType<typeof passWith>>;
let whole: Awaited<ReturnType<typeof passWith>>;
beforeAll(async () => {
  runtime = await startRuntime();
  loaded = await loadTiny(runtime, model);
  dropping = await passWith(loaded.resident, lora({ dropout: 0.3 }));
  whole = await passWith(loaded.resident, lora());
});
afterAll(() => runtime.close());

const sequences = [randomSequence(6, 1, 3), randomSequence(5, 2)];
const tokens = 11;
const weight = 1 / countTargets(sequences);

it('repeats with the same seed and differs with another', async () => {
  const { pass } = dropping;
  const first = await pass.run(sequences, weight, createRng(1));
  const again = await pass.run(sequences, weight, createRng(1));
  const other = await pass.run(sequences, weight, createRng(2));
  expect(again).toEqual(first);
  expect(Math.abs(other.loss - first.loss)).toBeGreaterThan(1e-4);
  expect(relativeError(other.gradients, first.gradients)).toBeGreaterThan(1e-2);
});

it('goes on with the generator: a second pass has other masks', async () => {
  const rng = createRng(1);
  const first = await dropping.pass.run(sequences, weight, rng);
  const second = await dropping.pass.run(sequences, weight, rng);
  expect(second.loss).not.toBe(first.loss);
});

it('gives the loss and the gradient of the reference with the same masks', async () => {
  const { layout, params, pass } = dropping;
  const { loss, gradients } = await pass.run(sequences, weight, createRng(4));
  const masks = drawnMasks(model, layout, tokens, createRng(4));
  const at = (values: ArrayLike<number>) =>
    weight * referenceLoss(model, sequences, referenceLora(layout, values, masks));
  expect(loss).toBeCloseTo(at(params), 5);
  // One random direction per tensor: the mask must be the same on the way back, at every site.
  const rng = createRng(9);
  for (const t of layout.tensors) {
    const end = t.offset + t.shape[0] * t.shape[1];
    const direction = Float64Array.from(params, (_, i) => (i >= t.offset && i < end ? rng.uniform() - 0.5 : 0));
    const moved = (by: number) => at(Float64Array.from(params, (p, i) => p + by * direction[i]!));
    const expected = (moved(1e-4) - moved(-1e-4)) / 2e-4;
    const own = gradients.subarray(t.offset, end);
    const along = own.reduce((sum, g, i) => sum + g * direction[t.offset + i]!, 0);
    const size = Math.sqrt(own.reduce((sum, g) => sum + g * g, 0)) * Math.sqrt((end - t.offset) / 12);
    const error = Math.abs(along - expected) / Math.max(Math.abs(expected), 0.1 * size);
    expect({ module: t.module, layer: t.layer, kind: t.kind, wrong: error > 1e-3 ? error : 0 }).toEqual({
      module: t.module,
      layer: t.layer,
      kind: t.kind,
      wrong: 0,
    });
  }
});

it('drops nothing in evaluation and without a generator', async () => {
  const plain = await whole.pass.run(sequences, 1);
  const noGenerator = await dropping.pass.run(sequences, 1);
  expect(Math.abs(noGenerator.loss / plain.loss - 1)).toBeLessThan(1e-6);
  expect(relativeError(noGenerator.gradients, plain.gradients)).toBeLessThan(1e-6);
  await dropping.pass.run(sequences, 1, createRng(3));
  expect(await dropping.pass.evaluate(sequences)).toBeCloseTo(await whole.pass.evaluate(sequences), 4);
});

describe('a mask', () => {
  it('keeps a share of 1 - p and the expected value', () => {
    for (const p of [0.05, 0.5, 0.9]) {
      const mask = dropoutMask(50_000, p, createRng(6));
      const zeros = mask.filter((m) => m === 0).length / mask.length;
      expect(Math.abs(zeros - p)).toBeLessThan(0.01);
      expect(new Set(mask)).toEqual(new Set([0, Math.fround(1 / (1 - p))]));
    }
  });

  it('is all ones for p = 0 and draws nothing then', () => {
    const rng = createRng(1);
    expect(dropoutMask(4, 0, rng)).toEqual(new Float32Array(4).fill(1));
    expect(rng.uint32()).toBe(createRng(1).uint32());
  });
});
