// The gradient of every kind of adapter tensor against central differences of the float64 reference.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../src/base/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import { type LoraConfig, type LoraLayout, loraTensorName } from '../../src/models/index.ts';
import { referenceLoss } from '../helpers/referenceLlama.ts';
import { type TinyModel, tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  allModules,
  countTargets,
  loadTiny,
  lora,
  passWith,
  randomSequence,
  referenceLora,
  startRuntime,
} from '../helpers/tinyRun.ts';

let runtime: Runtime;
const models = { tied: tinyModel(tinyConfigs.tied), untied: tinyModel(tinyConfigs.untied) };
let loaded: Record<keyof typeof models, Awaited<ReturnType<typeof loadTiny>>>;
beforeAll(async () => {
  runtime = await startRuntime();
  loaded = { tied: await loadTiny(runtime, models.tied), untied: await loadTiny(runtime, models.untied) };
});
afterAll(() => runtime.close());

const sequences = [randomSequence(7, 1, 3), randomSequence(5, 2)];
const weight = 1 / countTargets(sequences);
const step = 1e-4;

/** d loss / d t at params + t * direction, in float64. */
function slope(model: TinyModel, layout: LoraLayout, params: Float32Array, direction: (i: number) => number): number {
  const at = (t: number) => {
    const moved = Float64Array.from(params, (p, i) => p + t * direction(i));
    return weight * referenceLoss(model, sequences, referenceLora(layout, moved));
  };
  return (at(step) - at(-step)) / (2 * step);
}

const cases: [string, keyof typeof models, Partial<LoraConfig>][] = [
  ['all modules', 'untied', {}],
  ['all modules with rsLoRA', 'tied', { useRslora: true, r: 4, alpha: 4 }],
  ['only q_proj', 'tied', { targetModules: ['q_proj'] }],
  ['only down_proj', 'untied', { targetModules: ['down_proj'] }],
  ['only o_proj', 'tied', { targetModules: ['o_proj'], r: 1 }],
  ['the classic pair q_proj, v_proj', 'untied', { targetModules: ['q_proj', 'v_proj'] }],
  ['k_proj and up_proj', 'tied', { targetModules: ['k_proj', 'up_proj'] }],
  ['only gate_proj', 'tied', { targetModules: ['gate_proj'] }],
];

describe.each(cases)('%s', (_name, which, changes) => {
  it('agrees with central differences', async () => {
    const model = models[which];
    const { layout, params, pass } = await passWith(loaded[which].resident, lora(changes));
    const { loss, gradients } = await pass.run(sequences, weight);
    expect(loss).toBeCloseTo(weight * referenceLoss(model, sequences, referenceLora(layout, params)), 5);

    // All elements at once, along a random direction.
    const rng = createRng(8);
    const direction = Float64Array.from(params, () => rng.uniform() - 0.5);
    const along = gradients.reduce((sum, g, i) => sum + g * direction[i]!, 0);
    const expected = slope(model, layout, params, (i) => direction[i]!);
    expect(Math.abs(along / expected - 1)).toBeLessThan(1e-3);

    // The largest and a random element of each tensor of the first and the last layer.
    const last = model.config.num_hidden_layers - 1;
    for (const t of layout.tensors.filter((x) => x.layer === 0 || x.layer === last)) {
      const count = t.shape[0] * t.shape[1];
      const own = gradients.subarray(t.offset, t.offset + count);
      const rms = Math.sqrt(own.reduce((sum, g) => sum + g * g, 0) / count);
      expect(rms).toBeGreaterThan(0);
      const largest = own.reduce((best, g, i) => (Math.abs(g) > Math.abs(own[best]!) ? i : best), 0);
      for (const element of [largest, rng.below(count)]) {
        const numeric = slope(model, layout, params, (i) => (i === t.offset + element ? 1 : 0));
        const error = Math.abs(own[element]! - numeric) / Math.max(Math.abs(numeric), rms);
        expect({ name: loraTensorName(t), element, wrong: error > 1e-3 ? error : 0 }).toEqual({
          name: loraTensorName(t),
          element,
          wrong: 0,
        });
      }
    }
  });
});

it('leaves nothing out: the adapters of the cases cover every module', () => {
  const covered = new Set(cases.slice(2).flatMap(([, , c]) => c.targetModules ?? []));
  expect([...covered].sort()).toEqual([...allModules].sort());
});

it('gives zero for A while B is zero, and the other way round', async () => {
  const { layout, params, pass } = await passWith(
    loaded.tied.resident,
    lora({ targetModules: ['v_proj', 'down_proj'] }),
  );
  for (const [zeroed, dead] of [
    ['B', 'A'],
    ['A', 'B'],
  ]) {
    const some = params.slice();
    for (const t of layout.tensors) if (t.kind === zeroed) some.fill(0, t.offset, t.offset + t.shape[0] * t.shape[1]);
    await pass.setParameters(some);
    const { gradients } = await pass.run(sequences, weight);
    for (const t of layout.tensors) {
      const own = gradients.subarray(t.offset, t.offset + t.shape[0] * t.shape[1]);
      expect(own.some((g) => g !== 0)).toBe(t.kind !== dead);
    }
  }
});
