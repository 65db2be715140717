// Candidates made on the host: order, mass, and constraints.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng } from '../../../src/base/index.ts';
import {
  candidatesOfRow,
  defaultSampling,
  forbid,
  restrictCandidates,
  sampleCandidates,
  sampleToken,
} from '../../../src/infer/index.ts';
import { counted, sampled } from './samplingHelpers.ts';

const value = fc.oneof(
  fc.integer({ min: -2, max: 2 }),
  fc.double({ min: -50, max: 50, noNaN: true }),
  fc.constantFrom(-0, -Infinity, 3e38, -3e38, 1e-45),
);
const rows = fc.array(value, { minLength: 1, maxLength: 150, size: 'max' }).map((v) => Float32Array.from([...v, 0]));

describe('candidates of a row', () => {
  it('are its largest logits, equal ones by rising id', () => {
    fc.assert(
      fc.property(rows, fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 151 })), (row, k) => {
        const expected = Array.from(row.keys())
          .sort((a, b) => (row[a] === row[b] ? a - b : row[b]! - row[a]!))
          .slice(0, k);
        const c = candidatesOfRow(row, k, 1);
        expect(Array.from(c.ids)).toEqual(expected);
        expect(Array.from(c.logits)).toEqual(expected.map((id) => row[id]));
        expect(c.vocabSize).toBe(row.length);
      }),
    );
  });

  it('come with the mass of the whole row, at the temperature', () => {
    const row = Float32Array.of(0, 2, 1);
    expect(candidatesOfRow(row, 1, 1).mass).toBeCloseTo(1 + Math.exp(-1) + Math.exp(-2), 12);
    expect(candidatesOfRow(row, 1, 0.5).mass).toBeCloseTo(1 + Math.exp(-2) + Math.exp(-4), 12);
    expect(candidatesOfRow(Float32Array.of(3e38, 3e38, -3e38), 1, 1e-3).mass).toBe(2);
  });

  it('are the row itself when all of it is asked for', async () => {
    const row = Float32Array.of(0, 2, 1);
    const c = candidatesOfRow(row, 99, 1);
    expect(Array.from(c.ids)).toEqual([1, 2, 0]);
    expect(await c.row()).toBe(row);
  });
});

describe('a constraint', () => {
  const bits = (ids: readonly number[], vocab: number) => {
    const words = new Uint32Array(Math.ceil(vocab / 32));
    for (const id of ids) words[id >>> 5]! |= 1 << (id & 31);
    return words;
  };

  it('leaves the logits of what it allows, in every word', () => {
    const row = new Float32Array(70).fill(1);
    const left = forbid(row, bits([0, 31, 32, 63, 64, 69], 70));
    expect(Array.from(left.keys()).filter((id) => left[id] === 1)).toEqual([0, 31, 32, 63, 64, 69]);
    expect(left.filter((x) => x === -Infinity)).toHaveLength(64);
    expect(row[1]).toBe(1);
  });

  it('of candidates gives what the constrained row gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.array(fc.nat(149), { maxLength: 40 }),
        fc.nat(),
        fc.constantFrom(defaultSampling, sampled(), sampled({ topK: 2 }), sampled({ topP: 0.6 })),
        async (row, picked, seed, o) => {
          const allowed = bits([...picked.map((id) => id % row.length), row.length - 1], row.length);
          const c = await restrictCandidates(candidatesOfRow(row, 3, o.temperature), allowed, o);
          const { id } = await sampleCandidates(c, o, createRng(seed));
          expect(id).toBe(sampleToken(forbid(row, allowed), o, createRng(seed)));
          expect((allowed[id >>> 5]! >>> (id & 31)) & 1).toBe(1);
        },
      ),
    );
  });

  it('costs greedy decoding the row only when no candidate is allowed', async () => {
    const row = Float32Array.from({ length: 100 }, (_, id) => -id);
    for (const [ids, expected] of [
      [[2, 50], 0],
      [[50], 1],
    ] as const) {
      const { c, count } = counted(row, 4, 0);
      const restricted = await restrictCandidates(c, bits(ids, 100), defaultSampling);
      expect((await sampleCandidates(restricted, defaultSampling, createRng(0))).id).toBe(ids[0]);
      expect(count.rows).toBe(expected);
    }
  });

  it('that allows nothing is an error', async () => {
    const c = candidatesOfRow(Float32Array.of(1, 2), 1, 1);
    await expect(restrictCandidates(c, new Uint32Array(1), defaultSampling)).rejects.toMatchObject({
      code: 'NO_TOKEN',
    });
    await expect(restrictCandidates(c, new Uint32Array(1), sampled())).rejects.toMatchObject({ code: 'NO_TOKEN' });
  });
});
