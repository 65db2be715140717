// An adapter worked into the weights: the same answers as with it beside them, and files that are not taken for others.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adapterSalt } from '../../src/assistant/adapterSalt.ts';
import { constantStore } from '../../src/assistant/constantStore.ts';
import type { Runtime } from '../../src/engine/index.ts';
import { type Adapter, loraLayout, moduleNames, moduleShape } from '../../src/models/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { createDecodeEngine, type DecodePrecision, type InferencePass, mergedWeights } from '../../src/runner/index.ts';
import { feed, plainLogits, plainPass } from '../helpers/tinyDecode.ts';
import { temporaryFolder, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import {
  largestDifference,
  lora,
  randomParams,
  randomSequence,
  relativeError,
  startRuntime,
} from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
const model = tinyModel();
let path: string;
let runtime: Runtime;
let plain: InferencePass;
beforeAll(async () => {
  runtime = await startRuntime();
  plain = await plainPass(runtime, model, 'fp32');
  path = writeTinyModel(join(folder.path, 'model'), model);
});
afterAll(async () => {
  await runtime.close();
  folder.remove();
});

type TestAdapter = Pick<Adapter, 'layout' | 'params'>;
const adapter = (changes: Parameters<typeof lora>[0] = {}, seed = 5): TestAdapter => {
  const layout = loraLayout(plain.model.config, lora(changes));
  return { layout, params: randomParams(layout, seed) };
};
const ids = [...randomSequence(30, 6).ids];

async function start(precision: DecodePrecision, own: TestAdapter, scale?: number, cacheDir?: string) {
  const checkpoint = await openCheckpoint(path);
  const store = constantStore({ warn: () => {}, progress: () => {} }, { runtime, checkpoint, cacheDir });
  const weights = mergedWeights(checkpoint.weights, checkpoint.config, own, scale);
  const engine = await createDecodeEngine({
    runtime,
    config: checkpoint.config,
    weights,
    salt: adapterSalt(own, scale),
    precision,
    store,
    slots: 1,
    capacity: 64,
  });
  await weights.close();
  const logits = await feed(engine, 0, [ids.slice(0, 25), ...ids.slice(25).map((id) => [id])]);
  const { used } = store;
  await store.dispose();
  return { logits, used };
}

it.each([
  ['all modules', {}],
  ['two modules, rsLoRA', { r: 5, targetModules: ['k_proj', 'down_proj'], useRslora: true } as const],
])('in fp32 it answers as with the adapter beside the weights: %s', async (_name, changes) => {
  const own = adapter(changes);
  const { logits } = await start('fp32', own);
  expect(relativeError(logits, await plainLogits(plain, ids, own))).toBeLessThan(1e-4);
  expect(relativeError(logits, await plainLogits(plain, ids))).toBeGreaterThan(0.05);
});

it('by a factor', async () => {
  const own = adapter();
  const half = { params: own.params, layout: loraLayout(plain.model.config, { ...own.layout.config, alpha: 3 }) };
  expect(own.layout.config.alpha).toBe(6);
  expect(relativeError((await start('fp32', own, 0.5)).logits, await plainLogits(plain, ids, half))).toBeLessThan(1e-4);
  expect(relativeError((await start('fp32', own, 0)).logits, await plainLogits(plain, ids))).toBeLessThan(1e-5);
});

it.each([
  ['int8', 0.03],
  ['int4', 0.6],
  ['nf4', 0.8],
] as const)('in %s the sum is quantised', async (precision, most) => {
  const own = adapter();
  const expected = await plainLogits(plain, ids, own);
  expect(relativeError((await start(precision, own)).logits, expected)).toBeLessThan(most);
  // The adapter does more than that.
  expect(relativeError(await plainLogits(plain, ids), expected)).toBeGreaterThan(most);
});

it('reads rows of a matrix as they are in the whole', async () => {
  const { weights, config } = await openCheckpoint(path);
  const merged = mergedWeights(weights, config, adapter());
  for (const module of moduleNames) {
    const role = { kind: 'projection', layer: 1, module } as const;
    const whole = await merged.read(role);
    const columns = moduleShape(config, module).in;
    expect(largestDifference(await merged.read(role, [5, 9]), whole.subarray(5 * columns, 9 * columns))).toBe(0);
  }
  await merged.close();
});

it('leaves what the adapter does not change as it is, and NF4 codes only there', async () => {
  const { weights, config } = await openCheckpoint(path);
  const codes = { codes: new Uint8Array(1), scales: new Float32Array(1) };
  const stored = { ...weights, readNf4: async () => codes as never };
  const merged = mergedWeights(stored, config, adapter({ targetModules: ['q_proj'] }));
  const q = { kind: 'projection', layer: 0, module: 'q_proj' } as const;
  const k = { ...q, module: 'k_proj' } as const;
  expect(await merged.read(k)).toEqual(await weights.read(k));
  expect(await merged.read({ kind: 'finalNorm' })).toEqual(await weights.read({ kind: 'finalNorm' }));
  expect(largestDifference(await merged.read(q), await weights.read(q))).toBeGreaterThan(0.01);
  expect([await merged.readNf4!(q), await merged.readNf4!(k)]).toEqual([undefined, codes]);
  expect(await mergedWeights(weights, config, adapter()).readNf4!(k)).toBeUndefined();
  await merged.close();
});

it('keeps files under the adapter, its numbers and its factor', async () => {
  const cacheDir = join(folder.path, 'cache');
  const [one, other] = [adapter({}, 1), adapter({}, 2)];
  const first = await start('int8', one, 1, cacheDir);
  expect(first.used).toBe(false);
  expect(await start('int8', one, 1, cacheDir)).toEqual({ used: true, logits: first.logits });
  expect((await start('int8', other, 1, cacheDir)).used).toBe(false);
  expect((await start('int8', one, 0.5, cacheDir)).used).toBe(false);
  expect((await start('int8', { ...one, layout: adapter({ alpha: 9 }).layout }, 1, cacheDir)).used).toBe(false);
  expect((await start('int8', one, 1, cacheDir)).used).toBe(true);
});
