// The same weights from a GGUF file: q and k rows lie in another order there, and the tokenizer is in the metadata.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { InferencePass, loadModel } from '../../src/runner/index.ts';
import { fromTokenizerJson } from '../../src/tokenizer/index.ts';
import { referenceLogits } from '../helpers/referenceLlama.ts';
import { tinyGguf } from '../helpers/tinyGguf.ts';
import { temporaryFolder, tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import { largestDifference, randomSequence, startRuntime } from '../helpers/tinyRun.ts';
import { tinyTokenizerConfig, tinyTokenizerJson } from '../helpers/tinyTokenizer.ts';

const folder = temporaryFolder();
let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(async () => {
  await runtime.close();
  folder.remove();
});

it.each(['tied', 'untied'] as const)('%s: gives the logits of the reference', async (name) => {
  const model = tinyModel(tinyConfigs[name]);
  const path = join(folder.path, `${name}.gguf`);
  writeFileSync(path, tinyGguf(model));
  const { config, weights, tokenizer } = await openCheckpoint(path);
  expect(config).toMatchObject({ vocabSize: 300, headDim: 16, tiedHead: name === 'tied', maxPositions: 512 });
  const resident = await loadModel({ runtime, config, weights, precision: 'fp32', training: false });
  await weights.close();
  const ids = [...randomSequence(14, 2).ids];
  const pass = await InferencePass.create(resident);
  const logits = await pass.advance(pass.createCache(14), ids);
  expect(largestDifference(logits, referenceLogits(model, ids).data.subarray(-300))).toBeLessThan(1e-4);

  const same = fromTokenizerJson(tinyTokenizerJson(), tinyTokenizerConfig());
  const text = 'The end of the world is\n\n### Instruction: llamas 🦙<|im_end|>';
  expect(tokenizer.encode(text)).toEqual(same.encode(text));
  expect(tokenizer.eosId).toBe(same.eosId);
});
