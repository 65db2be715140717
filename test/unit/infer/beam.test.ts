// Beam search against transformers on a Markov model (test/fixtures/infer/beam.json), and what it does around that.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type BeamModel,
  type BeamRequest,
  beamDefaults,
  beamSearch,
  checkBeam,
  rawCandidatesOfRow,
} from '../../../src/infer/index.ts';

type Case = [
  prompt: number[],
  numBeams: number,
  lengthPenalty: number,
  earlyStopping: boolean | 'never',
  eosIds: number[],
  maxNewTokens: number,
  repetitionPenalty: number,
  answers: number[][],
  scores: number[],
];
const golden = JSON.parse(readFileSync(new URL('../../fixtures/infer/beam.json', import.meta.url), 'utf8')) as {
  table: number[][];
  cases: Case[];
};

/** What comes next depends on the last token only. */
function markovModel(table: readonly number[][]) {
  const rows = table.map((row) => Float32Array.from(row, (v) => v / 65536));
  let held: number[][] = [];
  const model = {
    closed: 0,
    steps: 0,
    vocabSize: table.length,
    async start(prompt: readonly number[], best: number) {
      held = [[...prompt]];
      return rawCandidatesOfRow(rows[prompt.at(-1)!]!, best);
    },
    async step(parents: readonly number[], tokens: readonly number[], best: number) {
      model.steps++;
      held = parents.map((parent, i) => [...held[parent]!, tokens[i]!]);
      return tokens.map((id) => rawCandidatesOfRow(rows[id]!, best));
    },
    close() {
      model.closed++;
    },
  };
  return Object.assign(model satisfies BeamModel, { beams: () => held });
}

const request: BeamRequest = { ...beamDefaults, maxNewTokens: 8, eosIds: [2] };

describe.each([...new Set(golden.cases.map((c) => c[1]))])('%i beams: tokens and scores of transformers', (beams) => {
  it.each([true, false, 'never'])('early stopping %s', async (early) => {
    const cases = golden.cases.filter((c) => c[1] === beams && c[3] === early);
    expect(cases.length).toBeGreaterThan(50);
    for (const [
      prompt,
      numBeams,
      lengthPenalty,
      earlyStopping,
      eosIds,
      maxNewTokens,
      repetitionPenalty,
      answers,
      scores,
    ] of cases) {
      const options = { numBeams, lengthPenalty, earlyStopping, eosIds, maxNewTokens, repetitionPenalty };
      const found = await beamSearch(markovModel(golden.table), prompt, { ...options, returned: numBeams });
      expect(
        found.map((a) => a.ids),
        JSON.stringify({ prompt, ...options }),
      ).toEqual(answers);
      for (const [i, answer] of found.entries())
        expect(Math.abs(answer.score - scores[i]!)).toBeLessThan(1e-5 + 1e-6 * Math.abs(scores[i]!));
    }
  });
});

it('says why each answer ended, and counts the end token to it', async () => {
  const found = await beamSearch(markovModel(golden.table), [5], { ...request, returned: 4 });
  for (const { ids, finish } of found) {
    expect(finish).toBe(ids.at(-1) === 2 ? 'eos' : 'length');
    expect(ids.indexOf(2)).toBe(finish === 'eos' ? ids.length - 1 : -1);
    if (finish === 'length') expect(ids).toHaveLength(8);
  }
  expect(found.map((a) => a.score)).toEqual(found.map((a) => a.score).sort((a, b) => b - a));
});

it('tells the model which beam goes on with what', async () => {
  const model = markovModel(golden.table);
  const asked: (readonly number[])[] = [];
  await beamSearch(model, [5], { ...request, eosIds: [], ends: (ids) => asked.push(ids) < 0 });
  // Every beam is an answer that was looked at.
  const whole = new Set(asked.map((ids) => [5, ...ids].join()));
  for (const beam of model.beams()) expect(whole.has(beam.join())).toBe(true);
  expect(model.steps).toBe(7);
});

it('ends an answer where the caller says so', async () => {
  const ends = (ids: readonly number[]) => ids.at(-1)! % 2 === 1;
  const found = await beamSearch(markovModel(golden.table), [5], { ...request, eosIds: [], returned: 4, ends });
  for (const { ids, finish } of found) {
    expect(ids.slice(0, -1).every((id) => id % 2 === 0)).toBe(true);
    expect(finish).toBe(ids.at(-1)! % 2 === 1 ? 'stop' : 'length');
  }
});

it('returns the best so far when aborted, and closes the model in every case', async () => {
  const model = markovModel(golden.table);
  const found = await beamSearch(model, [5], { ...request, eosIds: [], signal: AbortSignal.abort() });
  expect(found).toMatchObject([{ finish: 'aborted' }]);
  expect(found[0]!.ids).toHaveLength(1);
  expect(model.closed).toBe(1);
  model.step = () => Promise.reject(new Error('engine'));
  await expect(beamSearch(model, [5], request)).rejects.toThrow('engine');
  expect(model.closed).toBe(2);
  await expect(beamSearch(model, [], request)).rejects.toMatchObject({ code: 'USAGE' });
  await expect(beamSearch(model, [5], { ...request, maxNewTokens: 0 })).rejects.toMatchObject({ code: 'USAGE' });
  await expect(beamSearch(model, [5], { ...request, numBeams: 20 })).rejects.toMatchObject({
    code: 'TOKEN_RANGE',
    message: expect.stringMatching(/40.*24/),
  });
  expect(model.closed).toBe(5);
});

describe('checkBeam', () => {
  it.each([
    [{ numBeams: 1 }, /from 2 to 64/],
    [{ numBeams: 2.5 }, /2\.5/],
    [{ numBeams: 65 }, /65/],
    [{ lengthPenalty: Number.NaN }, /length_penalty is NaN/],
    [{ lengthPenalty: 11 }, /-10 to 10/],
    [{ earlyStopping: 'sometimes' as 'never' }, /"sometimes"/],
    [{ returned: 5 }, /num_return_sequences is 5.*from 1 to 4/],
    [{ returned: 0 }, /num_return_sequences is 0/],
  ])('refuses %o', (wrong, message) => {
    expect(() => checkBeam({ ...beamDefaults, ...wrong })).toThrow(message);
  });

  it.each([
    [{ sampling: { temperature: 0.7 } }, /temperature/],
    [{ sampling: { topP: 0.9 } }, /top_p/],
    [{ sampling: { topK: 4 } }, /top_k/],
    [{ sampling: { minP: 0.1 } }, /min_p/],
    [{ sampling: { presencePenalty: 1 } }, /presence_penalty/],
    [{ sampling: { frequencyPenalty: 1 } }, /frequency_penalty/],
    [{ sampling: { logitBias: new Map([[1, 2]]) } }, /logit_bias/],
    [{ sampling: { repetitionPenalty: 0.9 } }, /repetition_penalty is 0\.9/],
    [{ stream: true }, /cannot stream/],
    [{ constraint: {} }, /constrained output/],
    [{ topLogprobs: 0 }, /logprobs/],
  ])('refuses %o beside beams', (beside, message) => {
    expect(() => checkBeam(beamDefaults, beside)).toThrow(message);
  });

  it('accepts greedy settings', () => {
    const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1.2, logitBias: new Map() };
    expect(checkBeam(beamDefaults, { sampling, stream: false })).toBe(beamDefaults);
  });
});
