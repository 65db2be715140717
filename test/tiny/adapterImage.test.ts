// The linear map between PEFT's tensors and what programs take: the gradient's way back is its transpose.
import { describe, expect, it } from 'vitest';
import { createRng } from '../../src/base/index.ts';
import { loraLayout, loraScale, type ModuleName } from '../../src/models/index.ts';
import { basisOf } from '../../src/quant/index.ts';
import { adapterImage } from '../../src/runner/index.ts';
import { oddWidths as config } from '../helpers/oddWidths.ts';
import { lora } from '../helpers/tinyRun.ts';

const noise = (length: number, seed: number) => {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => rng.uniform() - 0.5);
};
const everyNorm = (modules: readonly ModuleName[], around: Float32Array) => {
  const norm = around.map((x) => 1 + x);
  return Object.fromEntries(modules.map((m) => [m, norm]));
};
const norms = Array.from({ length: config.layers }, (_, i) => ({
  ...everyNorm(['q_proj', 'k_proj', 'v_proj'], noise(48, 20 + i)),
  ...everyNorm(['gate_proj', 'up_proj'], noise(48, 30 + i)),
}));
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

const cases = [
  ['fp32', lora()],
  ['int8', lora()],
  ['fp32', lora({ targetModules: ['down_proj'], useRslora: true })],
  ['int8', lora({ targetModules: ['k_proj', 'o_proj', 'up_proj'], r: 5, alpha: 7, useRslora: true })],
  ['int8', lora({ targetModules: ['q_proj', 'v_proj'] })],
] as const;

describe.each(cases)('%s, case %#', (precision, settings) => {
  const layout = loraLayout(config, settings);
  const image = adapterImage(basisOf(precision, config), layout, precision === 'int8' ? norms : [{}, {}]);

  it('goes back by the transpose of the way there', async () => {
    for (const seed of [1, 2, 3]) {
      const params = noise(layout.size, seed);
      const gradient = noise(layout.size, 10 + seed);
      const there = await image.fromParameters(params);
      const back = await image.toGradients(gradient);
      const size = Math.sqrt(dot(there, there) * dot(gradient, gradient));
      expect(Math.abs(dot(there, gradient) - dot(params, back))).toBeLessThan(1e-6 * size);
    }
  });
});

it('is the plain adapter with its scale in the plain basis', async () => {
  const settings = lora({ targetModules: ['down_proj'], alpha: 12 });
  const layout = loraLayout(config, settings);
  const image = adapterImage(basisOf('fp32', config), layout, [{}, {}]);
  const params = noise(layout.size, 4);
  const out = await image.fromParameters(params);
  const scale = loraScale(settings);
  expect(scale).toBe(4);
  for (const t of layout.tensors) {
    const count = t.shape[0] * t.shape[1];
    const expected = params.subarray(t.offset, t.offset + count).map((x) => (t.kind === 'A' ? x : scale * x));
    expect(out.slice(t.offset, t.offset + count)).toEqual(Float32Array.from(expected));
  }
});

it('does not touch the parameters that it is given', async () => {
  const layout = loraLayout(config, lora());
  const image = adapterImage(basisOf('int8', config), layout, norms);
  const params = noise(layout.size, 4);
  const gradient = noise(layout.size, 5);
  const before = [params.slice(), gradient.slice()];
  await image.fromParameters(params);
  await image.toGradients(gradient);
  expect([params, gradient]).toEqual(before);
});
