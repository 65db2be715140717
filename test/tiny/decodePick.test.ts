// What the decode engine hands out of a row of logits: candidates and their mass, changed logits, whole rows.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { type Adjustments, applyAdjustments } from '../../src/infer/index.ts';
import type { DecodeEngine, Pass, Picked } from '../../src/runner/index.ts';
import { tinyEngines } from '../helpers/tinyDecode.ts';
import { tinyConfigs, tinyModel } from '../helpers/tinyModel.ts';
import { largestDifference, randomSequence, startRuntime } from '../helpers/tinyRun.ts';

let runtime: Runtime;
let engine: DecodeEngine;
const engines = tinyEngines();
const vocab = tinyConfigs.tied.vocab_size;
beforeAll(async () => {
  runtime = await startRuntime();
  engine = await engines.open(runtime, tinyModel(), { precision: 'fp32', slots: 2, capacity: 32 });
});
afterAll(async () => {
  await runtime.close();
  await engines.remove();
});

/** Logits after three of its tokens. */
const pass: Pass = { first: 0, pasts: [0], ids: [[...randomSequence(9, 4).ids]], adapters: [], keep: [8, 2, 5] };
const rows = 3;

const ranked = (logits: Float32Array) => [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);

function expectCandidates({ ids, logits }: Picked, row: Float32Array, k: number) {
  const best = ranked(row).slice(0, k);
  expect([...ids]).toEqual(best);
  expect(
    largestDifference(
      logits,
      best.map((id) => row[id]!),
    ),
  ).toBe(0);
}

const massOf = (row: Float32Array, temperature: number) => {
  const peak = Math.max(...row);
  return row.reduce((sum, l) => sum + Math.exp((l - peak) / (temperature || 1)), 0);
};

const rowsOf = async () => [await engine.row(0), await engine.row(1), await engine.row(2)] as const;

describe('candidates', () => {
  it.each([1, 5, 64, 65, vocab, vocab + 1000])('are the %i largest logits, falling', async (k) => {
    const picked = await engine.pick(pass, { k });
    expect(picked).toHaveLength(rows);
    for (const [i, row] of (await rowsOf()).entries()) {
      const { ids, logits, mass } = picked[i]!;
      const count = Math.min(vocab, Math.max(k, ids.length));
      expect(ids.length).toBeGreaterThanOrEqual(Math.min(k, vocab));
      expectCandidates({ ids, logits, mass }, row, count);
      expect(mass).toBeNaN();
    }
  });

  it('come with the mass of their row at its own temperature', async () => {
    const temperatures = [0.5, 2, 0];
    const picked = await engine.pick(pass, { k: 7, temperatures });
    for (const [i, row] of (await rowsOf()).entries()) {
      expect(picked[i]!.ids).toHaveLength(7);
      expectCandidates(picked[i]!, row, 7);
      const expected = massOf(row, temperatures[i]!);
      expect(Math.abs(picked[i]!.mass / expected - 1)).toBeLessThan(1e-5);
    }
  });
});

const list = (changes: readonly (readonly [id: number, repetition: number, add: number])[]): Adjustments => ({
  ids: Int32Array.from(changes, (c) => c[0]),
  repetition: Float32Array.from(changes, (c) => c[1]),
  add: Float32Array.from(changes, (c) => c[2]),
});

describe('changes', () => {
  const change = fc.tuple(
    fc.oneof(fc.nat(vocab - 1), fc.constantFrom(0, vocab, vocab + 5)),
    fc.constantFrom(1, 1.25, 0.5, 3),
    fc.oneof(fc.double({ min: -5, max: 5, noNaN: true }), fc.constant(Number.NEGATIVE_INFINITY)),
  );
  const someChanges = fc.option(fc.uniqueArray(change, { maxLength: 12, selector: (c) => c[0] }).map(list), {
    nil: undefined,
  });

  it('are those of applyAdjustments, for each row its own; candidates and mass are of what comes out', async () => {
    await engine.pick(pass, { k: 1 });
    const plain = await rowsOf();
    await fc.assert(
      fc.asyncProperty(fc.tuple(someChanges, someChanges, someChanges), async (changes) => {
        const picked = await engine.pick(pass, { k: 9, temperatures: [1, 0.7, 1.5], changes });
        const made = await rowsOf();
        for (const [i, row] of made.entries()) {
          const expected = changes[i] ? applyAdjustments(plain[i]!, changes[i]) : plain[i]!;
          const finite = (l: Float32Array) => l.map((x) => (x === Number.NEGATIVE_INFINITY ? -1e9 : x));
          expect(largestDifference(finite(row), finite(expected))).toBeLessThan(1e-5);
          expectCandidates(picked[i]!, row, 9);
          expect(Math.abs(picked[i]!.mass / massOf(row, [1, 0.7, 1.5][i]!) - 1)).toBeLessThan(1e-4);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('without temperatures, and empty ones, come to the same candidates', async () => {
    const changes = [list([[3, 1, 100]]), list([]), undefined];
    const picked = await engine.pick(pass, { k: 2, changes });
    expect(picked[0]!.ids[0]).toBe(3);
    expect(picked.map((p) => p.mass)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    const plain = await engine.pick(pass, { k: 2 });
    for (const i of [1, 2]) expect([...picked[i]!.ids]).toEqual([...plain[i]!.ids.subarray(0, 2)]);
  });

  it('leave what the model itself said to be asked for', async () => {
    await engine.pick(pass, { k: 1 });
    const plain = await rowsOf();
    await engine.pick(pass, { k: 4, changes: [list([[7, 1, 50]]), undefined, list([[8, 1, -50]])] });
    const raw = await engine.raw(6);
    for (const [i, row] of plain.entries()) {
      expectCandidates(raw[i]!, row, 6);
      expect(Math.abs(raw[i]!.mass / massOf(row, 1) - 1)).toBeLessThan(1e-5);
    }
    expect((await engine.row(0))[7]! - plain[0]![7]!).toBeCloseTo(50, 4);
  });
});

it('rows of one slot and of several are told apart', async () => {
  await engine.extend({ ...pass, first: 1 });
  const picked = await engine.pick({ first: 0, pasts: [0, 9], ids: [[5], [6]], adapters: [], keep: [1, 0] }, { k: 1 });
  const [other, first] = [await engine.row(0), await engine.row(1)];
  expect(picked.map((p) => p.ids[0])).toEqual([ranked(other)[0], ranked(first)[0]]);
  await engine.pick({ first: 0, pasts: [0], ids: [[5]], adapters: [], keep: [0] }, { k: 1 });
  expect(largestDifference(await engine.row(0), first)).toBeLessThan(1e-5);
});
