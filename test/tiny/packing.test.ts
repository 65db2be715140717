// Packed sequences: the same numbers as each alone, and nothing passes from one to another. In both precisions.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import type { LoraLayout } from '../../src/models/index.ts';
import type { ResidentModel, TrainingPass } from '../../src/runner/index.ts';
import { tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import {
  loadTiny,
  lora,
  passWith,
  randomSequence,
  relativeError,
  type Sequence,
  startRuntime,
} from '../helpers/tinyRun.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

const silent = (s: Sequence): Sequence => ({ ids: s.ids, targets: new Int32Array(s.ids.length).fill(-1) });
const [a, b, c] = [randomSequence(11, 1, 4), randomSequence(4, 2), randomSequence(19, 3, 10)];
/** Fifteen sequences: attention takes them in groups of 8, 4, 2 and 1. */
const many = [a, b, c, ...Array.from({ length: 12 }, (_, i) => randomSequence(3 + (i % 5), 20 + i, 2))];

// Where rows of another length change the last bit of a float, an 8-bit code may fall on the other side of a half.
const cases = [
  { precision: 'fp32', lossError: 1e-5, gradientError: 1e-5 },
  { precision: 'int8', lossError: 1e-4, gradientError: 1e-2 },
] as const;

describe.each(cases)('in $precision', ({ precision, lossError, gradientError }) => {
  let pass: TrainingPass;
  let layout: LoraLayout;
  let resident: ResidentModel;
  beforeAll(async () => {
    ({ resident } = await loadTiny(runtime, tinyModel(tinyConfigs.untied), { precision, packTokens: 192 }));
    ({ pass, layout } = await passWith(resident, lora()));
  });

  it('gives the loss and the gradient of each alone, in any order', async () => {
    const alone = [];
    for (const s of many) alone.push(await pass.run([s], 1));
    const loss = alone.reduce((sum, r) => sum + r.loss, 0);
    const gradients = new Float64Array(layout.size);
    for (const r of alone) for (let i = 0; i < gradients.length; i++) gradients[i]! += r.gradients[i]!;
    for (const order of [many, many.toReversed()]) {
      const packed = await pass.run(order, 1);
      expect(Math.abs(packed.loss / loss - 1)).toBeLessThan(lossError);
      expect(relativeError(packed.gradients, gradients)).toBeLessThan(gradientError);
      expect(Math.abs((await pass.evaluate(order)) / loss - 1)).toBeLessThan(lossError);
    }
  });

  it('is linear in the weight', async () => {
    const one = await pass.run([a, b], 1);
    // A power of two, which is exact in every precision.
    const quarter = await pass.run([a, b], 1 / 4);
    expect(quarter.loss).toBeCloseTo(one.loss / 4, 5);
    expect(
      relativeError(
        quarter.gradients,
        one.gradients.map((g) => g / 4),
      ),
    ).toBeLessThan(1e-5);
  });

  it.each([0, 3, 10])('lets token %i of a neighbour influence nothing', async (at) => {
    const before = await pass.run([silent(a), b], 1);
    const other = a.ids.slice();
    other[at] = (other[at]! + 1) % 300;
    const after = await pass.run([silent({ ids: other, targets: a.targets }), b], 1);
    expect(after.loss).toBe(before.loss);
    expect(relativeError(after.gradients, before.gradients)).toBeLessThan(1e-6);
    // The other way round: a sequence behind another is no less alone.
    const behind = await pass.run([b, silent(a)], 1);
    const changed = await pass.run([b, silent({ ids: other, targets: a.targets })], 1);
    expect(changed.loss).toBe(behind.loss);
    expect(relativeError(changed.gradients, behind.gradients)).toBeLessThan(1e-6);
  });

  it('lets a token influence its own sequence, and no token before it', async () => {
    const changed = b.ids.slice();
    changed[2] = (changed[2]! + 1) % 300;
    const early = Int32Array.from(b.targets, (t, i) => (i < 2 ? t : -1));
    const late = Int32Array.from(b.targets, (t, i) => (i >= 2 ? t : -1));
    const loss = (ids: Int32Array, targets: Int32Array) => pass.evaluate([{ ids, targets }]);
    expect(await loss(changed, early)).toBe(await loss(b.ids, early));
    expect(await loss(changed, late)).not.toBe(await loss(b.ids, late));
  });

  // Shared prefixes of two families, one of them with loss on the prompt, and a sequence of its own between them.
  const branches = (prefix: Sequence, lengths: number[], seed: number) => {
    const members = lengths.map((length, i) => {
      const own = randomSequence(length, seed + i, 1);
      const ids = Int32Array.of(...prefix.ids, ...own.ids);
      return { ids, targets: Int32Array.of(...prefix.targets, ...own.targets) };
    });
    return { prefix: prefix.ids.length, members };
  };
  const families = [
    branches(silent(randomSequence(9, 50)), [5, 1, 8, 3], 60),
    a,
    // The prefix's last token has the same target in all branches, as everywhere in a prefix.
    branches({ ...randomSequence(6, 70), targets: Int32Array.of(3, 5, -1, 8, 9, 17) }, [4, 7], 80),
    branches(silent(randomSequence(1, 90)), [2, 3, 2], 95),
  ];
  const unshared = families.flatMap((f) => ('members' in f ? f.members : [f]));

  it('computes a shared prefix once, with the loss and gradient of its branches apart', async () => {
    const apart = await pass.run(unshared, 1 / 7);
    const shared = await pass.run(families, 1 / 7);
    expect(Math.abs(shared.loss / apart.loss - 1)).toBeLessThan(lossError);
    expect(relativeError(shared.gradients, apart.gradients)).toBeLessThan(gradientError);
    expect(Math.abs((await pass.evaluate(families)) / 7 / apart.loss - 1)).toBeLessThan(lossError);
  });

  it('gives the same gradients where layers are run again instead of being kept', async () => {
    const kept = await pass.run(families, 1 / 7);
    const { pass: again } = await passWith(resident, lora(), 5, { recompute: true });
    const recomputed = await again.run(families, 1 / 7);
    expect(recomputed.loss).toBe(kept.loss);
    expect(recomputed.gradients).toEqual(kept.gradients);
    expect(again.workspaceBytes).toBeLessThan(pass.workspaceBytes);
  });

  it('repeats bit for bit, whatever was run in between', async () => {
    const first = await pass.run([a, c], 1);
    await pass.run([b], 1);
    await pass.evaluate([c, b, a]);
    const again = await pass.run([a, c], 1);
    expect(again.loss).toBe(first.loss);
    expect(again.gradients).toEqual(first.gradients);
  });
});

it('refuses a sequence that is longer than the positions', async () => {
  const { resident } = await loadTiny(runtime, tinyModel(), { positions: 16 });
  const { pass } = await passWith(resident, lora({ targetModules: ['q_proj'] }));
  await expect(pass.evaluate([randomSequence(17, 1)])).rejects.toMatchObject({
    code: 'TOO_LONG',
    message: expect.stringMatching(/17.*16/),
  });
});
