// Log-probabilities are the model's own, whatever was adjusted before the choice.
import { describe, expect, it } from 'vitest';
import {
  applyAdjustments,
  createAdjustments,
  defaultSampling,
  rawCandidatesOfRow,
  rawLogSumExp,
  tokenLogprob,
} from '../../../src/infer/index.ts';

const probabilities = [0.25, 0.1, 0.5, 0.15];
const row = Float32Array.from(probabilities, (p) => Math.log(p) + 7);

describe('log-probabilities', () => {
  it('are those of the row', () => {
    const raw = rawCandidatesOfRow(row, 2);
    const { id, logprob, top } = tokenLogprob(raw, { id: 1, logit: row[1]! }, undefined, 2);
    expect(id).toBe(1);
    expect(logprob).toBeCloseTo(Math.log(0.1), 5);
    expect(top.map((t) => t.id)).toEqual([2, 0]);
    for (const t of top) expect(t.logprob).toBeCloseTo(Math.log(probabilities[t.id]!), 5);
    expect(rawLogSumExp(row)).toBeCloseTo(7, 5);
  });

  it('stay the model’s own when the token was adjusted', () => {
    const o = { ...defaultSampling, repetitionPenalty: 1.5, frequencyPenalty: -1, logitBias: new Map([[1, 60]]) };
    const a = createAdjustments(o, [1])!;
    a.push(1);
    const list = a.current();
    const choice = { id: 1, logit: applyAdjustments(row, list)[1]! };
    // Named among the raw ones, or not.
    for (const k of [1, 4]) {
      expect(tokenLogprob(rawCandidatesOfRow(row, k), choice, list, 0)).toEqual({
        id: 1,
        logprob: expect.closeTo(Math.log(0.1), 4),
        top: [],
      });
    }
  });

  it('are never above 0', () => {
    const raw = { ids: [0], logits: Float32Array.of(5), logSumExp: 4.999999 };
    expect(tokenLogprob(raw, { id: 0, logit: 5 }, undefined, 1)).toEqual({
      id: 0,
      logprob: 0,
      top: [{ id: 0, logprob: 0 }],
    });
  });

  it('need as many candidates as are to be named', () => {
    const raw = rawCandidatesOfRow(row, 2);
    expect(() => tokenLogprob(raw, { id: 0, logit: row[0]! }, undefined, 3)).toThrow(/3 log-probabilities/);
  });
});
