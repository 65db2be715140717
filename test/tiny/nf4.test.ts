// nf4 is fp32 on the weights that the 4 bits stand for: loss, gradients and logits agree to rounding.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../src/base/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import {
  dequantise4Bit,
  encodeSafetensors,
  fourBitLevels,
  type Nf4Codes,
  nf4Block,
  quantiseNf4,
  type TensorToEncode,
} from '../../src/formats/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { InferencePass, loadModel, type ResidentModel, type WeightCache } from '../../src/runner/index.ts';
import {
  type TinyConfig,
  type TinyModel,
  temporaryFolder,
  tinyConfigs,
  tinyModel,
  writeTinyModel,
} from '../helpers/tinyModel.ts';
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
const folder = temporaryFolder();
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(async () => {
  folder.remove();
  await runtime.close();
});

const sequences = [randomSequence(24, 1, 3), randomSequence(31, 2)];
const weight = 1 / countTargets(sequences);

function expand({ codes, scales }: Nf4Codes, length: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(length);
  dequantise4Bit(codes, fourBitLevels.nf4, { values: scales, first: 0, blockSize: nf4Block }, 0, data);
  return data;
}

/** The model that has other values in its projections. */
function withProjections(model: TinyModel, change: (name: string, data: Float32Array) => Float32Array<ArrayBuffer>) {
  const tensors = new Map(model.tensors);
  for (const [name, { shape, data }] of tensors) {
    if (name.includes('_proj')) tensors.set(name, { shape, data: change(name, data) });
  }
  return { ...model, tensors };
}

async function lastLogits(resident: ResidentModel): Promise<Float32Array> {
  const pass = await InferencePass.create(resident);
  const cache = pass.createCache(5);
  await pass.advance(cache, [5, 17, 80, 3]);
  return pass.advance(cache, [9]);
}

async function expectSame(actual: ResidentModel, expected: ResidentModel): Promise<void> {
  const results = [];
  for (const resident of [actual, expected]) {
    const { pass } = await passWith(resident, lora());
    results.push({ ...(await pass.run(sequences, weight)), logits: await lastLogits(resident) });
  }
  const [a, b] = results;
  expect(Math.abs(a!.loss - b!.loss)).toBeLessThan(1e-5);
  expect(relativeError(a!.gradients, b!.gradients)).toBeLessThan(1e-5);
  expect(largestDifference(a!.gradients, b!.gradients)).toBeLessThan(1e-4);
  expect(largestDifference(a!.logits, b!.logits)).toBeLessThan(1e-4);
}

const cases: [string, TinyConfig][] = Object.entries(tinyConfigs);
describe.each(cases)('%s', (_name, config) => {
  it('computes what fp32 computes on the expanded weights', async () => {
    const model = tinyModel(config);
    const expanded = withProjections(model, (_, data) => expand(quantiseNf4(data), data.length));
    const nf4 = await loadTiny(runtime, model, { precision: 'nf4' });
    await expectSame(nf4.resident, (await loadTiny(runtime, expanded)).resident);
    // And not what it computes on the weights of the file.
    const [coarse, exact] = [
      await lastLogits(nf4.resident),
      await lastLogits((await loadTiny(runtime, model)).resident),
    ];
    expect(largestDifference(coarse, exact)).toBeGreaterThan(0.01);
  });
});

describe('a checkpoint that is NF4 already', () => {
  const { config } = tinyModel();
  const rng = createRng(3);
  const stored = new Map<string, Nf4Codes>();
  // Codes that quantising again would not give: no block reaches its largest magnitude.
  const expanded = withProjections(tinyModel(), (name, data) => {
    const made: Nf4Codes = {
      codes: Uint8Array.from({ length: data.length / 2 }, () => 17 * (3 + rng.below(9))),
      scales: Float32Array.from({ length: Math.ceil(data.length / nf4Block) }, () => 0.1 + 0.2 * rng.uniform()),
    };
    stored.set(name, made);
    return expand(made, data.length);
  });

  function write(): string {
    const path = writeTinyModel(join(folder.path, 'stored'), expanded);
    const tensors = [...expanded.tensors].flatMap(([name, { shape, data }]): TensorToEncode[] => {
      const made = stored.get(name);
      if (!made) return [{ name, dtype: 'F32', shape, data }];
      const state = new TextEncoder().encode(JSON.stringify({ quant_type: 'nf4', blocksize: 64, shape }));
      return [
        { name, dtype: 'U8', shape: [made.codes.length, 1], data: made.codes },
        { name: `${name}.absmax`, dtype: 'F32', shape: [made.scales.length], data: made.scales },
        { name: `${name}.quant_map`, dtype: 'F32', shape: [16], data: fourBitLevels.nf4 },
        { name: `${name}.quant_state.bitsandbytes__nf4`, dtype: 'U8', shape: [state.length], data: state },
      ];
    });
    writeFileSync(join(path, 'model.safetensors'), encodeSafetensors(tensors));
    return path;
  }

  const load = async (precision: 'fp32' | 'nf4', cache?: WeightCache) => {
    const { config, weights } = await openCheckpoint(write());
    try {
      return await loadModel({ runtime, config, weights, precision, training: true, ...(cache ? { cache } : {}) });
    } finally {
      await weights.close();
    }
  };

  it('keeps its codes', async () => {
    const nf4 = await load('nf4');
    for (const [layer, views] of nf4.layers.entries()) {
      const made = stored.get(`model.layers.${layer}.mlp.down_proj.weight`)!;
      expect(await runtime.read(views['down_proj.codes']!)).toEqual(made.codes);
      expect(await runtime.read(views['down_proj.scales']!)).toEqual(made.scales);
    }
    await expectSame(nf4, await load('fp32'));
    await expectSame(await load('fp32'), (await loadTiny(runtime, expanded)).resident);
  });

  it('takes half a byte a weight, and a scale a block', async () => {
    const { layers } = await load('nf4');
    const matrices = Object.entries(layers[0]!).filter(([name]) => name.includes('_proj'));
    const bytes = matrices.reduce((sum, [, v]) => sum + v.buffer.length * (v.buffer.dtype === 'uint8' ? 1 : 4), 0);
    const { hidden_size: hidden, intermediate_size: inner } = config;
    const weights = 3 * hidden * inner + 2 * hidden * hidden + 2 * hidden * 32;
    expect(bytes).toBe(weights / 2 + weights / 16);
  });

  it('comes back from a cache, a tied head with it', async () => {
    let kept: Parameters<WeightCache['save']>[1] | undefined;
    const cache: WeightCache = {
      load: async () => kept,
      async save(_, views) {
        kept = views;
      },
    };
    const first = await load('nf4', cache);
    expect([...kept!.keys()]).not.toContain('head.w');
    const second = await load('nf4', cache);
    expect(second.head['head.w']).toBe(second.embedding.table);
    await expectSame(second, first);
  });
});
