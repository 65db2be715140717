// Penalties and logit_bias: the short list, and what it does to a row.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyAdjustments,
  createAdjustments,
  defaultSampling,
  type SamplingOptions,
  undoAdjustment,
} from '../../../src/infer/index.ts';

const options = (changes: Partial<SamplingOptions>): SamplingOptions => ({ ...defaultSampling, ...changes });

/** Straight from the definitions, over the whole row, in doubles. */
function expected(
  row: Float32Array,
  o: SamplingOptions,
  prompt: readonly number[],
  answer: readonly number[],
): number[] {
  const seen = new Set([...prompt, ...answer]);
  return Array.from(row, (logit, id) => {
    const times = answer.filter((a) => a === id).length;
    let l = logit;
    if (seen.has(id)) l = l > 0 ? l / o.repetitionPenalty : l * o.repetitionPenalty;
    return l + (o.logitBias.get(id) ?? 0) - (times > 0 ? o.presencePenalty : 0) - o.frequencyPenalty * times;
  });
}

describe('adjustments', () => {
  it('are none when nothing is set', () => {
    expect(createAdjustments(defaultSampling, [1, 2])).toBeUndefined();
    expect(createAdjustments(options({ temperature: 1, topK: 3 }), [1, 2])).toBeUndefined();
  });

  it('repeat-penalise prompt and answer once each', () => {
    const a = createAdjustments(options({ repetitionPenalty: 2 }), [0, 1, 1])!;
    a.push(2);
    a.push(1);
    a.push(2);
    expect(Array.from(applyAdjustments(Float32Array.of(4, -4, 3, 5), a.current()))).toEqual([2, -8, 1.5, 5]);
  });

  it('count presence and frequency in the answer only', () => {
    const a = createAdjustments(options({ presencePenalty: 0.5, frequencyPenalty: 0.25 }), [0, 1])!;
    expect(a.current().ids).toHaveLength(0);
    for (const id of [1, 2, 2]) a.push(id);
    expect(Array.from(applyAdjustments(Float32Array.of(1, 1, 1), a.current()))).toEqual([1, 0.25, 0]);
  });

  it('add the bias after the division', () => {
    const a = createAdjustments(options({ repetitionPenalty: 2, logitBias: new Map([[0, 3]]) }), [0])!;
    expect(Array.from(applyAdjustments(Float32Array.of(-4, -4), a.current()))).toEqual([-5, -4]);
  });

  it('grow with the number of tokens, and lose none', () => {
    const ids = Array.from({ length: 300 }, (_, i) => i);
    const bias = new Map(ids.map((id) => [id, 1]));
    for (const changes of [{ repetitionPenalty: 2 }, { presencePenalty: 1 }, { logitBias: bias }]) {
      const a = createAdjustments(options(changes), [])!;
      for (const id of ids) a.push(id);
      const changed = applyAdjustments(new Float32Array(300).fill(4), a.current());
      expect(new Set(changed).size).toBe(1);
      expect(changed[0]).not.toBe(4);
    }
  });

  it('of tokens beyond the row are left out', () => {
    const a = createAdjustments(options({ repetitionPenalty: 2 }), [7])!;
    expect(Array.from(applyAdjustments(Float32Array.of(1, 2), a.current()))).toEqual([1, 2]);
  });

  const sixteenths = (min: number, max: number) => fc.integer({ min: min * 16, max: max * 16 }).map((n) => n / 16);
  const any = fc.record({
    row: fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 90, maxLength: 90 }),
    prompt: fc.array(fc.nat(89), { maxLength: 150, size: 'max' }),
    answer: fc.array(fc.nat(89), { maxLength: 150, size: 'max' }),
    repetitionPenalty: fc.constantFrom(1, 0.5, 1.1, 1.7),
    presencePenalty: sixteenths(-2, 2),
    frequencyPenalty: sixteenths(-2, 2),
    logitBias: fc.array(fc.tuple(fc.nat(89), sixteenths(-100, 100)), { maxLength: 9 }).map((pairs) => new Map(pairs)),
  });

  it('are those of the definitions after every token, each token named once', () => {
    fc.assert(
      fc.property(any, ({ row, prompt, answer, ...changes }) => {
        const o = options(changes);
        const logits = Float32Array.from(row);
        const before = logits.slice();
        const a = createAdjustments(o, prompt);
        for (let n = 0; n <= answer.length; n++) {
          if (n > 0) a?.push(answer[n - 1]!);
          if (n % 30 !== 0 && n !== answer.length) continue;
          const list = a?.current();
          expect(new Set(list?.ids).size).toBe(list?.ids.length ?? 0);
          const got = list ? applyAdjustments(logits, list) : logits;
          const wanted = expected(logits, o, prompt, answer.slice(0, n));
          const errors = wanted.map((l, id) => Math.abs(got[id]! - l) / (10 + Math.abs(l)));
          expect(Math.max(...errors)).toBeLessThan(2e-6);
        }
        expect(logits).toEqual(before);
      }),
      { numRuns: 60 },
    );
  });

  it('can be undone for a token', () => {
    fc.assert(
      fc.property(any, fc.nat(89), ({ row, prompt, answer, ...changes }, id) => {
        const logits = Float32Array.from(row);
        const a = createAdjustments(options(changes), prompt);
        for (const t of answer) a?.push(t);
        if (!a) return;
        const list = a.current();
        const adjusted = applyAdjustments(logits, list)[id]!;
        expect(Math.abs(undoAdjustment(list, id, adjusted) - logits[id]!)).toBeLessThan(1e-4);
      }),
      { numRuns: 60 },
    );
  });
});
