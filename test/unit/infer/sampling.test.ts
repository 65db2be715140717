// What is accepted, what is refused, and how the effective mode is told.
import { describe, expect, it } from 'vitest';
import {
  checkSampling,
  defaultSampling,
  describeSampling,
  type SamplingOptions,
  samplingMode,
} from '../../../src/infer/index.ts';
import { sampled } from './samplingHelpers.ts';

const failure = (run: () => unknown) => {
  try {
    run();
  } catch (e) {
    return e;
  }
  return undefined;
};

describe('settings', () => {
  it.each<[Partial<SamplingOptions>, RegExp]>([
    [{ temperature: -0.1 }, /temperature is -0.1/],
    [{ temperature: NaN }, /temperature is NaN/],
    [{ temperature: Infinity }, /temperature is Infinity/],
    [{ topP: 0 }, /top_p is 0/],
    [{ topP: 1.01 }, /top_p is 1.01/],
    [{ topP: NaN }, /top_p is NaN/],
    [{ topK: -1 }, /top_k is -1/],
    [{ topK: 2.5 }, /top_k is 2.5/],
    [{ topK: NaN }, /top_k is NaN/],
    [{ minP: -0.1 }, /min_p is -0.1; use 0 to 1/],
    [{ minP: 1.1 }, /min_p is 1.1/],
    [{ minP: NaN }, /min_p is NaN/],
    [{ repetitionPenalty: 0 }, /repetition_penalty is 0; use 0.01 to 100/],
    [{ repetitionPenalty: -1 }, /repetition_penalty is -1/],
    [{ repetitionPenalty: NaN }, /repetition_penalty is NaN/],
    [{ presencePenalty: 2.1 }, /presence_penalty is 2.1; use -2 to 2/],
    [{ presencePenalty: NaN }, /presence_penalty is NaN/],
    [{ frequencyPenalty: -2.1 }, /frequency_penalty is -2.1/],
    [{ frequencyPenalty: NaN }, /frequency_penalty is NaN/],
    [{ seed: 1.5 }, /seed is 1.5/],
    [{ seed: NaN }, /seed is NaN/],
    [{ logitBias: new Map([[3, 101]]) }, /logit_bias of token 3 is 101; use -100 to 100/],
    [{ logitBias: new Map([[3, NaN]]) }, /logit_bias of token 3 is NaN/],
    [{ logitBias: new Map([[-1, 1]]) }, /names token -1/],
    [{ logitBias: new Map([[0.5, 1]]) }, /names token 0.5/],
    [{ temperature: 0, topP: 0.9 }, /top_p 0.9 has no effect at temperature 0/],
    [{ temperature: 0, topK: 40 }, /top_k 40 has no effect at temperature 0/],
    [{ temperature: 0, topK: 1 }, /top_k 1 has no effect at temperature 0/],
    [{ temperature: 0, minP: 0.1 }, /min_p 0.1 has no effect at temperature 0/],
  ])('%j are refused', (changes, message) => {
    expect(failure(() => checkSampling(sampled(changes)))).toMatchObject({
      code: 'USAGE',
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });

  it('at the ends of their ranges are taken', () => {
    const low: Partial<SamplingOptions> = { temperature: 1e-6, topP: 1e-6, topK: 0, minP: 0, repetitionPenalty: 0.01 };
    const high: Partial<SamplingOptions> = {
      temperature: 100,
      topP: 1,
      topK: 2 ** 40,
      minP: 1,
      repetitionPenalty: 100,
    };
    for (const [ends, p] of [
      [low, -2],
      [high, 2],
    ] as const) {
      const o = sampled({
        ...ends,
        presencePenalty: p,
        frequencyPenalty: p,
        logitBias: new Map([[0, 50 * p]]),
        seed: -p,
      });
      expect(checkSampling(o)).toBe(o);
    }
    expect(checkSampling(defaultSampling)).toBe(defaultSampling);
  });

  it('of tokens the model does not have are refused where its vocabulary is known', () => {
    const o = sampled({ logitBias: new Map([[50, 1]]) });
    expect(checkSampling(o)).toBe(o);
    expect(checkSampling(o, 51)).toBe(o);
    expect(failure(() => checkSampling(o, 50))).toMatchObject({
      code: 'USAGE',
      message: 'logit_bias names token 50; the model has tokens 0 to 49',
    });
  });

  it('of greedy decoding may be adjusted', () => {
    const o = { ...defaultSampling, repetitionPenalty: 1.1, presencePenalty: 1, logitBias: new Map([[1, 5]]) };
    expect(checkSampling(o)).toBe(o);
  });
});

describe('the effective mode', () => {
  it.each<[Partial<SamplingOptions>, string]>([
    [{ temperature: 0, seed: 3 }, 'greedy'],
    [{ temperature: 0, repetitionPenalty: 1.1 }, 'greedy, repetition_penalty 1.1'],
    [{ temperature: 0.7, topP: 0.9, seed: 3 }, 'sampling, temperature 0.7, top_p 0.9, seed 3'],
    [{}, 'sampling, temperature 1, seed 0'],
    [{ topK: 40, topP: 0.9, minP: 0.05 }, 'sampling, temperature 1, top_k 40, top_p 0.9, min_p 0.05, seed 0'],
    [{ topK: 1, topP: 0.9, presencePenalty: 0.5 }, 'greedy, presence_penalty 0.5'],
    [
      { frequencyPenalty: -1, logitBias: new Map([[5, 1]]) },
      'sampling, temperature 1, frequency_penalty -1, logit_bias on 1 token, seed 0',
    ],
    [
      {
        temperature: 0,
        logitBias: new Map([
          [5, 1],
          [6, 1],
        ]),
      },
      'greedy, logit_bias on 2 tokens',
    ],
  ])('of %j is told in words', (changes, words) => {
    expect(describeSampling(checkSampling(sampled(changes)))).toBe(words);
  });

  it('is told to machines, without what has no effect', () => {
    expect(samplingMode(sampled({ temperature: 0, seed: 4 }))).toEqual({ mode: 'greedy', settings: {} });
    expect(samplingMode(sampled({ temperature: 0.7, topP: 0.9, seed: 3, repetitionPenalty: 1.2 }))).toEqual({
      mode: 'sampling',
      settings: { temperature: 0.7, top_p: 0.9, repetition_penalty: 1.2, seed: 3 },
    });
    expect(samplingMode(sampled({ temperature: 0.7, topK: 1 }))).toEqual({ mode: 'greedy', settings: {} });
  });
});
