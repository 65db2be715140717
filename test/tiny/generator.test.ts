// Generation on the decode engine of a tiny model, token for token what the plainest loop and beams without a cache give.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import {
  type BeamModel,
  beamDefaults,
  beamSearch,
  createGenerator,
  jsonSchemaConstraint,
  rawCandidatesOfRow,
  type TextGenerator,
  tokenVocabulary,
} from '../../src/infer/index.ts';
import { loraLayout } from '../../src/models/index.ts';
import type { DecodeEngine, InferencePass, KvCache } from '../../src/runner/index.ts';
import { renderChat } from '../../src/tokenizer/index.ts';
import { ask, referenceAnswer, request, tokenizer, type Wishes } from '../helpers/generation.ts';
import { mergeLora, referenceLogits } from '../helpers/referenceLlama.ts';
import { plainPass, tinyEngines } from '../helpers/tinyDecode.ts';
import { tinyModel } from '../helpers/tinyModel.ts';
import { lora, randomParams, referenceLora, startRuntime } from '../helpers/tinyRun.ts';

const model = tinyModel();
const engines = tinyEngines();
const chat = renderChat(tokenizer, [{ role: 'user', content: 'the end' }], { addGenerationPrompt: true });
const promptIds = tokenizer.encode(chat);
let runtime: Runtime;
let pass: InferencePass;
let engine: DecodeEngine;
let generator: TextGenerator;
let adapter: { layout: ReturnType<typeof loraLayout>; params: Float32Array };

beforeAll(async () => {
  runtime = await startRuntime();
  pass = await plainPass(runtime, model, 'fp32');
  engine = await engines.open(runtime, model, { precision: 'fp32', slots: 8, capacity: 512 });
  generator = createGenerator({ engine, tokenizer, precision: 'fp32' });
  const layout = loraLayout(engine.config, lora());
  adapter = { layout, params: randomParams(layout) };
  await generator.addAdapter('a', adapter);
});
afterAll(async () => {
  await generator.close();
  await engines.remove();
  await runtime.close();
});

/** The loop of one request: the prompt, then one token at a time, and the whole row of logits after each. */
async function plainAnswer(wishes: Wishes) {
  const asked = request(wishes);
  const resident = wishes.adapter === undefined ? undefined : await pass.loadAdapter(adapter);
  const cache: KvCache = pass.createCache(asked.promptIds.length + asked.maxNewTokens);
  try {
    return await referenceAnswer((ids) => pass.advance(cache, ids.slice(cache.length), resident), tokenizer, asked);
  } finally {
    pass.freeCache(cache);
  }
}

const constraint = () =>
  jsonSchemaConstraint(tokenVocabulary(tokenizer), { type: 'object', properties: { a: { type: 'integer' } } });

const wishes = (): Record<string, Wishes> => ({
  greedy: { promptIds, maxNewTokens: 40 },
  'greedy, adapter': { promptIds, maxNewTokens: 40, adapter: 'a' },
  sampling: { promptIds, maxNewTokens: 40, sampling: { temperature: 1.2, seed: 1 } },
  'sampling, adapter, top_p': {
    promptIds,
    maxNewTokens: 40,
    adapter: 'a',
    sampling: { temperature: 0.9, topP: 0.8, seed: 2 },
  },
  penalties: { promptIds, maxNewTokens: 40, sampling: { repetitionPenalty: 1.3, frequencyPenalty: 0.4 } },
  'penalties, sampling': {
    promptIds,
    maxNewTokens: 40,
    sampling: { temperature: 1, topK: 30, repetitionPenalty: 1.1, logitBias: new Map([[66, 2]]), seed: 3 },
  },
  constraint: { promptIds, maxNewTokens: 30, constraint: constraint(), sampling: { temperature: 1, seed: 4 } },
  'a long prompt': {
    promptIds: Array.from({ length: 400 }, (_, i) => (i * i) % 256),
    maxNewTokens: 20,
    sampling: { temperature: 1, seed: 5 },
  },
});

describe('one request', () => {
  it.each(Object.keys(wishes()))('%s', async (name) => {
    const wanted = await plainAnswer(wishes()[name]!);
    expect(wanted.ids.length).toBeGreaterThan(1);
    expect(await ask(generator, wishes()[name])).toMatchObject(wanted);
    // Again, with its prompt known.
    expect(await ask(generator, wishes()[name])).toMatchObject({
      ...wanted,
      cachedTokens: wishes()[name]!.promptIds!.length - 1,
    });
  });

  it('seeds differ', async () => {
    const draw = async (seed: number) =>
      (await ask(generator, { promptIds, sampling: { temperature: 1.2, seed } })).ids;
    expect(await draw(1)).not.toEqual(await draw(2));
  });

  it('with log-probabilities that are those of the reference model', async () => {
    const { ids, logprobs } = await ask(generator, {
      promptIds,
      maxNewTokens: 5,
      topLogprobs: 3,
      sampling: { temperature: 2, seed: 4, presencePenalty: 1 },
    });
    for (const [i, { id, logprob, top }] of logprobs!.entries()) {
      const row = Float32Array.from(referenceLogits(model, [...promptIds, ...ids.slice(0, i)]).data.slice(-300));
      const { ids: best, logits, logSumExp } = rawCandidatesOfRow(row, 3);
      expect(logprob).toBeCloseTo(row[id]! - logSumExp, 3);
      expect(top.map((t) => t.id)).toEqual([...(best as ArrayLike<number> & Iterable<number>)]);
      expect(top[2]!.logprob).toBeCloseTo(logits[2]! - logSumExp, 3);
    }
  });
});

it('eight at a time get what each gets alone', async () => {
  const all = Object.values(wishes());
  const wanted: Awaited<ReturnType<typeof plainAnswer>>[] = [];
  for (const w of Object.values(wishes())) wanted.push(await plainAnswer(w));
  const answers = await Promise.all(all.map((w) => ask(generator, w)));
  for (const [i, answer] of answers.entries()) expect(answer, Object.keys(wishes())[i]!).toMatchObject(wanted[i]!);
});

/** Computes every text from its beginning. */
function referenceBeams(of: typeof model): BeamModel {
  let texts: number[][] = [];
  const row = (ids: number[], best: number) =>
    rawCandidatesOfRow(Float32Array.from(referenceLogits(of, ids).data.slice(-300)), best);
  return {
    vocabSize: 300,
    async start(prompt, best) {
      texts = [[...prompt]];
      return row(texts[0]!, best);
    },
    async step(parents, tokens, best) {
      texts = parents.map((parent, i) => [...texts[parent]!, tokens[i]!]);
      return texts.map((ids) => row(ids, best));
    },
    close() {},
  };
}

it.each([{}, { adapter: 'a' }, { sampling: { repetitionPenalty: 1.4 } }])(
  'beams equal those of the reference: %j',
  async (more: Wishes) => {
    const beam = { ...beamDefaults, numBeams: 3 };
    const prompt = [7, 99, 7, 250, 31];
    const of = more.adapter ? mergeLora(model, referenceLora(adapter.layout, adapter.params)) : model;
    const [wanted] = await beamSearch(referenceBeams(of), prompt, {
      ...beam,
      maxNewTokens: 9,
      eosIds: tokenizer.eosIds,
      repetitionPenalty: more.sampling?.repetitionPenalty ?? 1,
    });
    const found = await ask(generator, { promptIds: prompt, beam, maxNewTokens: 9, ...more });
    expect(found).toMatchObject({ ids: wanted!.ids, finish: wanted!.finish });
  },
);
