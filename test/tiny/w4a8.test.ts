// int4 against fp32 on the weights that the 4 bits stand for: what is left is the error of 8-bit products.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime, View } from '../../src/engine/index.ts';
import { type LoraConfig, moduleNames, moduleShape, modules } from '../../src/models/index.ts';
import { rotateColumns, rotateRows } from '../../src/quant/index.ts';
import { InferencePass, type ResidentModel } from '../../src/runner/index.ts';
import { type TinyConfig, type TinyModel, tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  cosine,
  countTargets,
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

/** The model with the projections that a resident int4 model computes with, and how far the worst of them is off. */
async function expanded(model: TinyModel, { layers, basis, config }: ResidentModel) {
  const tensors = new Map(model.tensors);
  let worst = 0;
  for (const [layer, views] of layers.entries()) {
    for (const module of moduleNames) {
      const { in: rows, out } = moduleShape(config, module);
      const read = (name: string) => runtime.read(views[`${module}.${name}`] as View);
      const [packed, steps, scale] = (await Promise.all(['packed', 'steps', 'scale'].map(read))) as [
        Uint8Array,
        Int8Array,
        Float32Array,
      ];
      const block = (rows * out) / steps.length;
      const w = Float32Array.from({ length: rows * out }, (_, at) => {
        const [i, o] = [Math.floor(at / out), at % out];
        const byte = packed[(i % (rows / 2)) * out + o]!;
        const level = (i < rows / 2 ? byte & 15 : byte >> 4) - 8;
        return level * steps[Math.floor(i / block) * out + o]! * scale[o]!;
      });
      const spec = basis.modules[module];
      rotateColumns(w, rows, out, { block: spec.rotateInput, across: 1 });
      rotateColumns(w, rows, out, spec.input);
      rotateRows(w, rows, out, { block: spec.rotateOutput, across: 1 });
      rotateRows(w, rows, out, spec.output);
      const name = `model.layers.${layer}.${modules[module]}.${module}.weight`;
      const data = Float32Array.from({ length: rows * out }, (_, at) => w[(at % rows) * out + Math.floor(at / rows)]!);
      worst = Math.max(worst, relativeError(data, model.tensors.get(name)!.data));
      tensors.set(name, { shape: [out, rows], data });
    }
  }
  return { model: { ...model, tensors }, worst };
}

const cases: [string, TinyConfig, Partial<LoraConfig>][] = [
  ['tied, all modules', tinyConfigs.tied, {}],
  ['untied, odd widths, all modules', tinyConfigs.untied, {}],
  ['llama3, q_proj and v_proj', tinyConfigs.llama3, { targetModules: ['q_proj', 'v_proj'] }],
];

describe.each(cases)('%s', (_name, config, changes) => {
  it('has the loss and the gradient of the weights that it holds', async () => {
    const { resident } = await loadTiny(runtime, tinyModel(config), { precision: 'w4a8' });
    const meant = await expanded(tinyModel(config), resident);
    expect(meant.worst).toBeGreaterThan(0.05);
    expect(meant.worst).toBeLessThan(0.09);
    const exact = (await loadTiny(runtime, meant.model)).resident;
    const run = async (m: ResidentModel) => {
      const { pass } = await passWith(m, lora(changes));
      const result = await pass.run(sequences, weight);
      expect(Math.abs(weight * (await pass.evaluate(sequences)) - result.loss)).toBeLessThan(1e-5);
      return result;
    };
    const [coarse, expected] = [await run(resident), await run(exact)];
    expect(Math.abs(coarse.loss / expected.loss - 1)).toBeLessThan(0.02);
    expect(cosine(coarse.gradients, expected.gradients)).toBeGreaterThan(0.95);
  });
});

it.each([true, false])('predicts so in inference, with an adapter (loaded for training: %s)', async (training) => {
  const model = tinyModel(tinyConfigs.untied);
  const { resident } = await loadTiny(runtime, model, { precision: 'w4a8', training });
  const exact = (await loadTiny(runtime, (await expanded(model, resident)).model)).resident;
  const { layout, params } = await passWith(exact, lora());
  const ids = [...randomSequence(20, 7).ids];
  const logits = async (m: ResidentModel) => {
    const pass = await InferencePass.create(m);
    return pass.advance(pass.createCache(20), ids, await pass.loadAdapter({ layout, params }));
  };
  expect(cosine(await logits(resident), await logits(exact))).toBeGreaterThan(0.99);
});

it('holds a matrix in 4.5 bits a weight and a scale a column', async () => {
  const { resident } = await loadTiny(runtime, tinyModel(), { precision: 'w4a8' });
  for (const module of moduleNames) {
    const { in: rows, out } = moduleShape(resident.config, module);
    const sizes = ['packed', 'steps', 'scale'].map((n) => resident.layers[0]![`${module}.${n}`]!.buffer.length);
    expect(sizes).toEqual([(rows * out) / 2, (rows * out) / 16, out]);
  }
});

it.each(['int4', 'w4a8'] as const)('%s refuses widths that no block divides', async (precision) => {
  const odd = tinyModel({ ...tinyConfigs.tied, intermediate_size: 132 });
  const loading = loadTiny(runtime, odd, { precision });
  await expect(loading).rejects.toMatchObject({
    code: 'INT4_UNSUPPORTED',
    message: `down_proj has 132 inputs, ${precision} needs a multiple of 8`,
  });
});
