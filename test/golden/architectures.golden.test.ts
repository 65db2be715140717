// Every architecture against transformers and PEFT (test/fixtures/architectures/make.py): logits of the exact pass and of the
// decode engine, loss and gradients of LoRA. Sequences are longer than the windows.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { constantStore } from '../../src/assistant/constantStore.ts';
import { openFile } from '../../src/base/node.ts';
import type { Runtime } from '../../src/engine/index.ts';
import { createRuntime } from '../../src/engine/node.ts';
import { openSafetensors } from '../../src/formats/index.ts';
import { configFromJson, huggingFaceWeights } from '../../src/models/index.ts';
import { type Checkpoint, openAdapter } from '../../src/models/node.ts';
import { createDecodeEngine, InferencePass, loadModel, TrainingPass } from '../../src/runner/index.ts';

const root = join(import.meta.dirname, '../fixtures/architectures');

interface Expected {
  ids: number[];
  /** The first 8 columns of each position. */
  logits: number[][];
  nll: number[];
  lora: null | { loss: number; gradNorms: Record<string, number> };
}

const names = readdirSync(root).filter((name) => !name.includes('.'));

async function open(name: string) {
  const folder = join(root, name);
  const config = configFromJson(name, JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')));
  const file = await openSafetensors(await openFile(join(folder, 'model.safetensors')));
  const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;
  return { folder, config, weights: huggingFaceWeights(file, config), expected };
}

const nowhere = {
  find: async () => undefined,
  save: async () => {
    throw new Error('fp32 keeps nothing');
  },
};

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createRuntime({ threads: 1 });
});
afterAll(() => runtime.close());

it('has figures for every architecture', () => {
  const families = new Set(names.map((name) => name.replace(/-.*$/, '').replace('llama3', 'llama')));
  expect([...families].sort()).toEqual(['gemma', 'gemma2', 'gemma3', 'llama', 'mistral', 'phi3', 'qwen2', 'qwen3']);
});

describe.each(names)('%s', (name) => {
  it('gives the logits of transformers, token by token and in the decode engine', async () => {
    const { config, weights, expected } = await open(name);
    const model = await loadModel({ runtime, config, weights, precision: 'fp32', training: false });
    const pass = await InferencePass.create(model);
    const cache = pass.createCache(config.maxPositions);
    const last = expected.ids.length - 1;
    // Part of the text at once, then single tokens.
    await pass.advance(cache, expected.ids.slice(0, 20));
    for (let i = 20; i <= last; i++) {
      const row = await pass.advance(cache, [expected.ids[i]!]);
      expect(worst(row, expected.logits[i]!)).toBeLessThan(2e-4);
    }
    pass.freeCache(cache);
    const settings = { runtime, config, weights, precision: 'fp32', store: nowhere } as const;
    const engine = await createDecodeEngine({ ...settings, slots: 1, capacity: config.maxPositions });
    const whole = await engine.score(expected.ids);
    expect(
      worst(
        whole.map((x) => -x),
        expected.nll,
      ),
    ).toBeLessThan(2e-4);
    await engine.extend({ first: 0, pasts: [0], ids: [expected.ids.slice(0, 20)], adapters: [] });
    for (let i = 20; i <= last; i++) {
      await engine.pick(
        { first: 0, pasts: [i], ids: [[expected.ids[i]!]], adapters: [undefined], keep: [0] },
        { k: 4 },
      );
      expect(worst(await engine.row(0), expected.logits[i]!)).toBeLessThan(2e-4);
    }
  });

  // Random weights are the worst case for few bits: a forgotten bias or factor is far outside of these bounds.
  it.each([
    ['int8', 0.01],
    ['int4', 0.12],
  ] as const)('generates in %s', async (precision, bound) => {
    const { folder, config, weights, expected } = await open(name);
    const checkpoint = { name, config, weights, files: [join(folder, 'model.safetensors')] } as unknown as Checkpoint;
    const store = constantStore({ warn: () => {}, progress: () => {} }, { runtime, checkpoint, cacheDir: undefined });
    const settings = { runtime, config, weights, precision, store } as const;
    const engine = await createDecodeEngine({ ...settings, slots: 1, capacity: config.maxPositions });
    expect(Math.abs(sum(await engine.score(expected.ids)) / sum(expected.nll) + 1)).toBeLessThan(bound);
    await store.dispose();
  });

  it('trains with the loss and the gradients of PEFT', async ({ skip }) => {
    const { folder, config, weights, expected } = await open(name);
    if (!expected.lora) return skip('Mistral has no longrope to compute figures with');
    const { layout, params } = await openAdapter(folder, config);
    const ids = Int32Array.from(expected.ids);
    const targets = Int32Array.from(expected.ids.map((_, i) => expected.ids[i + 1] ?? -1));
    const train = async (precision: 'fp32' | 'int8') => {
      const model = await loadModel({ runtime, config, weights, precision, training: true });
      const pass = await TrainingPass.create(model, layout);
      await pass.setParameters(params);
      const result = await pass.run([{ ids, targets }], 1 / (ids.length - 1));
      pass.release();
      return result;
    };
    if (config.postNorms) await expect(train('int8')).rejects.toThrow('norms behind its matrices');
    else expect(Math.abs((await train('int8')).loss / expected.lora.loss - 1)).toBeLessThan(0.02);
    const { loss, gradients } = await train('fp32');
    expect(Math.abs(loss / expected.lora.loss - 1)).toBeLessThan(1e-5);
    for (const t of layout.tensors) {
      const part = gradients.subarray(t.offset, t.offset + t.shape[0] * t.shape[1]);
      const block = t.module.match(/gate|up|down/) ? 'mlp' : 'self_attn';
      const key = `base_model.model.model.layers.${t.layer}.${block}.${t.module}.lora_${t.kind}.weight`;
      const norm = Math.hypot(...part);
      expect(Math.abs(norm / expected.lora.gradNorms[key]! - 1), key).toBeLessThan(2e-4);
    }
  });
});

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

function worst(actual: ArrayLike<number>, wanted: readonly number[]): number {
  return Math.max(...wanted.map((x, i) => Math.abs(actual[i]! - x)));
}
