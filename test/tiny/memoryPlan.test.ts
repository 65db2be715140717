// The plan against the real thing, on a model small enough to have both.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elementCount, type Runtime, type View } from '../../src/engine/index.ts';
import { dtypeBytes } from '../../src/graph/index.ts';
import { estimateTraining } from '../../src/runner/index.ts';
import { tinyModel } from '../helpers/tinyModel.ts';
import { loadTiny, lora, passWith, randomSequence, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

const sequences = [30, 21, 17].map((n, i) => randomSequence(n, i));
const pack = [...sequences, { prefix: 5, members: [randomSequence(9, 7), randomSequence(9, 7)] }];

const bytesOf = (views: readonly Readonly<Record<string, View>>[]) => {
  const buffers = new Map(views.flatMap((v) => Object.values(v)).map((v) => [v.buffer.id, v]));
  return [...buffers.values()].reduce((n, v) => n + elementCount(v.shape) * dtypeBytes[v.buffer.dtype], 0);
};

describe.each([
  { precision: 'fp32' as const },
  { precision: 'int8' as const },
  { precision: 'int8' as const, oneCopy: true, recompute: true },
  { precision: 'int4' as const, recompute: true },
])('plan of %o', ({ recompute = false, ...kind }) => {
  it('has the bytes of weights and buffers that the model and its pass have', async () => {
    const sizes = { positions: 64, packTokens: 128 };
    const { resident, config } = await loadTiny(runtime, tinyModel(), { ...kind, ...sizes });
    const { pass } = await passWith(resident, lora(), 5, { recompute });
    await pass.run(pack, 1);
    const planned = await estimateTraining(config, { ...kind, recompute, ...sizes, lora: lora(), packs: [pack] });
    const row = (what: RegExp) => planned.rows.filter((r) => what.test(r.what)).reduce((n, r) => n + r.bytes, 0);

    const { layers, shared, embedding, head, iota } = resident;
    expect(row(/^weights$/)).toBe(bytesOf([...layers, shared, embedding, head, { iota }]));
    const { size } = pass.image.layout;
    expect(row(/^kept|^shared/)).toBe(pass.workspaceBytes - 8 * size);
    expect(row(/^adapter/)).toBeGreaterThan(8 * size);
    pass.release();
  });
});
