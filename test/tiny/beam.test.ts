// Beams with key/value caches on a real, tiny model: what is computed step by step is what the whole text would give.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import {
  type BeamModel,
  type BeamRequest,
  beamDefaults,
  beamSearch,
  bestTokens,
  passBeamModel,
} from '../../src/infer/index.ts';
import { loraLayout } from '../../src/models/index.ts';
import { InferencePass } from '../../src/runner/index.ts';
import { mergeLora, referenceLogits } from '../helpers/referenceLlama.ts';
import { tinyModel } from '../helpers/tinyModel.ts';
import { loadTiny, lora, randomParams, referenceLora, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
let pass: InferencePass;
const model = tinyModel();
beforeAll(async () => {
  runtime = await startRuntime();
  pass = await InferencePass.create((await loadTiny(runtime, model, { training: false })).resident);
});
afterAll(() => runtime.close());

/** Computes every text from its beginning. */
function referenceBeams(of: typeof model): BeamModel {
  let texts: number[][] = [];
  const row = (ids: number[], best: number) =>
    bestTokens(Float32Array.from(referenceLogits(of, ids).data.slice(-300)), best);
  return {
    vocabSize: 300,
    async start(prompt, best) {
      texts = [[...prompt]];
      return row(texts[0]!, best);
    },
    async step(parents, tokens, best) {
      texts = parents.map((parent, i) => [...texts[parent]!, tokens[i]!]);
      return texts.map((ids) => row(ids, best));
    },
    close() {},
  };
}

const prompt = [7, 99, 7, 250, 31];
const request: BeamRequest = { ...beamDefaults, numBeams: 3, returned: 3, maxNewTokens: 7, eosIds: [] };

it('equals the reference, with and without an adapter', async () => {
  const plain = await beamSearch(passBeamModel(pass, 12), prompt, request);
  const expected = await beamSearch(referenceBeams(model), prompt, request);
  expect(plain.map((a) => a.ids)).toEqual(expected.map((a) => a.ids));
  plain.forEach((a, i) => {
    expect(a.score).toBeCloseTo(expected[i]!.score, 4);
  });

  const layout = loraLayout(pass.model.config, lora());
  const params = randomParams(layout);
  const adapter = await pass.loadAdapter({ layout, params });
  const adapted = await beamSearch(passBeamModel(pass, 12, adapter), prompt, request);
  const merged = mergeLora(model, referenceLora(layout, params));
  const alsoExpected = await beamSearch(referenceBeams(merged), prompt, request);
  expect(adapted.map((a) => a.ids)).toEqual(alsoExpected.map((a) => a.ids));
  expect(adapted).not.toEqual(plain);
});

it('frees every cache, and refuses a prompt that leaves no room', async () => {
  const made = vi.spyOn(pass, 'createCache');
  const freed = vi.spyOn(pass, 'freeCache');
  await beamSearch(passBeamModel(pass, 12), prompt, request);
  expect(made.mock.results.length).toBeGreaterThanOrEqual(3);
  expect(new Set(freed.mock.calls.map(([cache]) => cache))).toEqual(new Set(made.mock.results.map((r) => r.value)));
  expect(freed.mock.calls.length).toBe(made.mock.calls.length);
  await expect(beamSearch(passBeamModel(pass, 5), prompt, request)).rejects.toThrow(/5 tokens.* 5$/);
});
