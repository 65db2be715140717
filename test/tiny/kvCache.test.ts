// Inference with a key/value cache: however a prompt is cut up, and with or without an adapter, the logits are those
// of the whole sequence at once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { loraLayout } from '../../src/models/index.ts';
import { InferencePass, type ResidentAdapter } from '../../src/runner/index.ts';
import { mergeLora, referenceLogits } from '../helpers/referenceLlama.ts';
import { tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  largestDifference,
  loadTiny,
  lora,
  randomParams,
  randomSequence,
  referenceLora,
  startRuntime,
} from '../helpers/tinyRun.ts';

let runtime: Runtime;
let pass: InferencePass;
const model = tinyModel(tinyConfigs.untied);
beforeAll(async () => {
  runtime = await startRuntime();
  const { resident } = await loadTiny(runtime, model, { training: false });
  pass = await InferencePass.create(resident);
});
afterAll(() => runtime.close());

const ids = [...randomSequence(9, 3).ids];

/** The logits after the last of several pieces. */
async function logitsAfter(pieces: readonly (readonly number[])[], adapter?: ResidentAdapter, capacity = 9) {
  const cache = pass.createCache(capacity);
  let logits = new Float32Array();
  for (const piece of pieces) logits = new Float32Array(await pass.advance(cache, piece, adapter));
  expect(cache.length).toBe(pieces.flat().length);
  pass.freeCache(cache);
  return logits;
}

const lastRow = (m: { data: Float64Array; cols: number }) => m.data.subarray(-m.cols);

it('gives the same for every split of a prompt', async () => {
  const expected = lastRow(referenceLogits(model, ids));
  for (let cut = 1; cut < ids.length; cut++) {
    expect(largestDifference(await logitsAfter([ids.slice(0, cut), ids.slice(cut)]), expected)).toBeLessThan(1e-4);
  }
  expect(largestDifference(await logitsAfter(ids.map((id) => [id])), expected)).toBeLessThan(1e-4);
});

it('does not care how large the cache is', async () => {
  expect(await logitsAfter([ids.slice(0, 4), ids.slice(4)], undefined, 200)).toEqual(
    await logitsAfter([ids.slice(0, 4), ids.slice(4)]),
  );
});

it('reads a prompt that is longer than its chunk', async () => {
  const long = [...randomSequence(300, 8).ids];
  const expected = lastRow(referenceLogits(model, long));
  expect(largestDifference(await logitsAfter([long], undefined, 300), expected)).toBeLessThan(2e-4);
});

it('keeps two sequences apart', async () => {
  const [a, b] = [pass.createCache(9), pass.createCache(9)];
  const other = [...ids].reverse();
  let [la, lb] = [new Float32Array(), new Float32Array()];
  for (let i = 0; i < ids.length; i++) {
    la = new Float32Array(await pass.advance(a, [ids[i]!]));
    lb = new Float32Array(await pass.advance(b, [other[i]!]));
  }
  expect(largestDifference(la, lastRow(referenceLogits(model, ids)))).toBeLessThan(1e-4);
  expect(largestDifference(lb, lastRow(referenceLogits(model, other)))).toBeLessThan(1e-4);
});

describe('an adapter', () => {
  const cases = [
    ['on all modules', lora()],
    ['on down_proj', lora({ targetModules: ['down_proj'], useRslora: true })],
    ['on q_proj and v_proj', lora({ targetModules: ['q_proj', 'v_proj'], r: 5 })],
  ] as const;

  it.each(cases)('%s computes what the merged weights compute', async (_name, config) => {
    const layout = loraLayout(pass.model.config, config);
    const params = randomParams(layout);
    const adapter = await pass.loadAdapter({ layout, params });
    const expected = lastRow(referenceLogits(mergeLora(model, referenceLora(layout, params)), ids));
    expect(largestDifference(await logitsAfter([ids], adapter), expected)).toBeLessThan(1e-4);
    expect(largestDifference(await logitsAfter([ids.slice(0, 5), ids.slice(5)], adapter), expected)).toBeLessThan(1e-4);
    // And it leaves no trace behind.
    expect(largestDifference(await logitsAfter([ids]), lastRow(referenceLogits(model, ids)))).toBeLessThan(1e-4);
    expect(largestDifference(expected, lastRow(referenceLogits(model, ids)))).toBeGreaterThan(0.1);
  });
});

it('refuses a token that the model does not know', async () => {
  const cache = pass.createCache(9);
  await expect(pass.advance(cache, [5, 300])).rejects.toMatchObject({
    code: 'TOKEN_RANGE',
    message: expect.stringMatching(/300/),
  });
  expect(cache.length).toBe(0);
  pass.freeCache(cache);
});

it('refuses more positions than there are, before it takes memory', () => {
  expect(() => pass.createCache(513)).toThrow(/513 positions.*512/);
});
