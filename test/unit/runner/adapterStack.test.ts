// Adapters side by side in one product: against each adapter by itself, in plain arithmetic.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import type { DeviceBuffer, HostArray, Runtime } from '../../../src/engine/index.ts';
import { type LoraLayout, loraLayout, loraScale, moduleNames, moduleShape } from '../../../src/models/index.ts';
import { stackAdapters } from '../../../src/runner/adapterStack.ts';
import { groupNames, groupShape, groups } from '../../../src/runner/decodeBody.ts';
import { oddWidths as config } from '../../helpers/oddWidths.ts';
import { randomParams } from '../../helpers/tinyRun.ts';

/** Holds what is put on it. */
function shelf() {
  const held = new Map<number, HostArray>();
  let next = 0;
  const runtime = {
    upload(data: HostArray): DeviceBuffer {
      const buffer = { id: next++, dtype: 'float32' as const, length: data.length };
      held.set(buffer.id, data);
      return buffer;
    },
    free: (b: DeviceBuffer) => expect(held.delete(b.id)).toBe(true),
  };
  return { held, runtime: runtime as unknown as Runtime };
}

interface Made {
  layout: LoraLayout;
  params: Float32Array;
}

const wishes = fc.record({
  r: fc.integer({ min: 1, max: 4 }),
  alpha: fc.constantFrom(1, 6, 16),
  dropout: fc.constant(0),
  targetModules: fc.subarray([...moduleNames], { minLength: 1 }),
  useRslora: fc.boolean(),
});
const adapters = fc.array(wishes, { minLength: 1, maxLength: 3 }).map((all) =>
  all.map((w, i): Made => {
    const layout = loraLayout(config, w);
    return { layout, params: randomParams(layout, i + 1) };
  }),
);

/** Row x [n] times a matrix [n, m]. */
const times = (x: readonly number[], matrix: ArrayLike<number>, m: number) =>
  Array.from({ length: m }, (_, j) => x.reduce((sum, v, i) => sum + v * matrix[i * m + j]!, 0));

/** scale * B A x of one module. */
function delta({ layout, params }: Made, layer: number, module: (typeof moduleNames)[number], x: readonly number[]) {
  const [a, b] = [layout.find(layer, module, 'A'), layout.find(layer, module, 'B')];
  const { out } = moduleShape(config, module);
  if (!a || !b) return new Array<number>(out).fill(0);
  const row = (t: { offset: number; shape: readonly [number, number] }, i: number, y: readonly number[]) =>
    y.reduce((sum, v, k) => sum + v * params[t.offset + i * t.shape[1] + k]!, 0);
  const low = Array.from({ length: a.shape[0] }, (_, i) => row(a, i, x));
  return Array.from({ length: out }, (_, o) => loraScale(layout.config) * row(b, o, low));
}

describe('stackAdapters', () => {
  it('adds to each sequence what its own adapter adds, times its factor', () => {
    fc.assert(
      fc.property(adapters, fc.nat(), fc.nat(config.layers - 1), (all, seed, layer) => {
        const { runtime, held } = shelf();
        const rng = createRng(seed);
        const stack = stackAdapters(runtime, config, new Map(all.map((a, i) => [`${i}`, a])));
        const uses = [
          undefined,
          ...all.map((_, i) => ({ name: `${i}`, scale: [1, 0.5, -2][i]! })),
          { name: 'none', scale: 1 },
        ];
        const mixes = stack.mix(uses);
        expect(new Set(mixes.keys())).toEqual(stack.groups);
        for (const group of groupNames) {
          const touched = groups[group].some((m) => all.some((a) => a.layout.find(0, m, 'A')));
          expect(stack.groups.has(group)).toBe(touched);
          if (!touched) continue;
          const { in: width, out } = groupShape(config, group);
          const { rank, data } = mixes.get(group)!;
          const [a, b] = [stack.views[`${layer}.${group}.A`]!, stack.views[`${layer}.${group}.B`]!];
          expect([a.shape, b.shape, data.length]).toEqual([[width, rank], [rank, out], uses.length * rank]);
          const x = Array.from({ length: width }, () => 2 * rng.uniform() - 1);
          const low = times(x, held.get(a.buffer.id) as Float32Array, rank);
          for (const [i, use] of uses.entries()) {
            const mixed = low.map((v, k) => v * data[i * rank + k]!);
            const made = times(mixed, held.get(b.buffer.id) as Float32Array, out);
            const own = use && all[Number(use.name)];
            const expected = groups[group].flatMap((m) =>
              own
                ? delta(own, layer, m, x).map((v) => v * use.scale)
                : new Array<number>(moduleShape(config, m).out).fill(0),
            );
            const size = Math.max(1, ...expected.map(Math.abs));
            for (const [o, v] of made.entries()) expect(Math.abs(v - expected[o]!) / size).toBeLessThan(1e-5);
          }
        }
        stack.free();
        expect(held.size).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('takes as many columns as there are ranks', () => {
    const { runtime } = shelf();
    const of = (r: number, targetModules: (typeof moduleNames)[number][]) => {
      const layout = loraLayout(config, { r, alpha: 1, dropout: 0, targetModules, useRslora: false });
      return { layout, params: randomParams(layout) };
    };
    const stack = stackAdapters(
      runtime,
      config,
      new Map([
        ['a', of(2, ['q_proj', 'v_proj', 'o_proj'])],
        ['b', of(3, ['k_proj'])],
      ]),
    );
    const ranks = [...stack.mix([undefined])].map(([group, { rank }]) => [group, rank]);
    expect(ranks).toEqual([
      ['qkv', 7],
      ['o', 2],
    ]);
  });
});
