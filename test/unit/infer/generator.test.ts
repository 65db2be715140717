// A generator on an engine that notices every wrong key or value: how answers end, what is shown when, what is remembered.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  beamDefaults,
  choiceConstraint,
  jsonSchemaConstraint,
  type TextDecoder,
  tokenVocabulary,
} from '../../../src/infer/index.ts';
import { type FakeModel, fakeAdapter, hashModel } from '../../helpers/fakeEngine.ts';
import {
  ask,
  begin,
  collect,
  expected,
  ids,
  referenceAnswer,
  request,
  setUp,
  tokenizer,
  type Wishes,
} from '../../helpers/generation.ts';
import { tinyVocabSize } from '../../helpers/tinyTokenizer.ts';

const eos = tokenizer.eosId!;
const encode = (s: string) => tokenizer.encode(s);
const vocabulary = tokenVocabulary(tokenizer);

/** The most probable tokens are `script`, one after the other, whatever was asked. */
const scripted =
  (script: readonly number[], promptLength = 3): FakeModel =>
  (ids) => {
    const row = new Float32Array(tinyVocabSize);
    row[script[(ids.length - promptLength) % script.length]!] = 10;
    return row;
  };

describe('an answer ends', () => {
  const say = (script: readonly number[], wishes: Wishes = {}, decoder: TextDecoder = tokenizer) =>
    ask(setUp({ model: scripted(script) }, { tokenizer: decoder }).generator, { maxNewTokens: 50, ...wishes });

  it('at the end token, which is counted and not shown', async () => {
    const answer = await say([...encode('Hello'), eos, ...encode('more')]);
    expect(answer).toMatchObject({ text: 'Hello', finish: 'eos', promptTokens: 3, ids: [...encode('Hello'), eos] });
    expect(answer).not.toHaveProperty('stopString');
  });

  it('at any of the tokens that end a reply, and at those of the request', async () => {
    const ends = { eosIds: [298, 299], stream: tokenizer.stream };
    expect(await say([...encode('a'), 299, ...encode('b')], {}, ends)).toMatchObject({ text: 'a', finish: 'eos' });
    const [x] = encode('x');
    expect(await say(encode('abx'), { stopIds: [x!] })).toMatchObject({ text: 'ab', finish: 'eos' });
  });

  it('not at the end token when that is to be ignored', async () => {
    const answer = await say([...encode('a'), eos], { ignoreEos: true, maxNewTokens: 5 });
    expect(answer).toMatchObject({ finish: 'length', ids: [...encode('a'), eos, ...encode('a'), eos, ...encode('a')] });
  });

  it('at the length, with exactly so many tokens, also where slots have room for no more', async () => {
    expect(await say(encode('x'), { maxNewTokens: 7 })).toMatchObject({ text: 'xxxxxxx', finish: 'length' });
    expect((await say(encode('x'), { maxNewTokens: 61 })).ids).toHaveLength(61);
    expect((await say(encode('x'), { maxNewTokens: 1 })).ids).toHaveLength(1);
  });

  it('before a stop string that spans tokens', async () => {
    const answer = await say(encode('fine.\n### Instruction: next'), { stop: ['### Instruction:'] });
    expect(answer).toMatchObject({ text: 'fine.\n', finish: 'stop', stopString: '### Instruction:' });
  });

  it('with what was held back, when no stop string came of it', async () => {
    const llama = encode('🦙').slice(0, 2);
    expect(await say([...encode('ok'), ...llama, eos])).toMatchObject({ text: 'ok\ufffd' });
    const held = await say([...encode('ok ##'), eos], { stop: ['###'] });
    expect(held).toMatchObject({ text: 'ok ##', finish: 'eos' });
    const cut = await say(encode('ok #'), { stop: ['###'], maxNewTokens: encode('ok #').length });
    expect(cut).toMatchObject({ text: 'ok #', finish: 'length' });
  });

  it('never with half a character, nor an empty piece', async () => {
    const { pieces } = await say([...encode('é🦙!'), eos]);
    expect(pieces.map((p) => p.text).filter((t) => t)).toEqual(['é', '🦙', '!']);
  });

  it('with the text before the first stop string', async () => {
    const words = fc.array(fc.constantFrom('the ', '#', '# ', '🦙', 'a', '\n\n'), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(words, fc.constantFrom('##', '# a', '🦙a', '\n'), async (parts, stop) => {
        const whole = parts.join('');
        const answer = await say([...encode(whole), eos], { stop: [stop] });
        const at = whole.indexOf(stop);
        expect(answer.text).toBe(at < 0 ? whole : whole.slice(0, at));
        expect(answer.finish).toBe(at < 0 ? 'eos' : 'stop');
      }),
      { numRuns: 100 },
    );
  });
});

describe('refuses', () => {
  it.each([
    [{ maxNewTokens: 0 }, 'USAGE', /max_new_tokens is 0/],
    [{ maxNewTokens: 2.5 }, 'USAGE', /max_new_tokens is 2.5/],
    [{ maxNewTokens: Number.NaN }, 'USAGE', /max_new_tokens is NaN/],
    [{ maxNewTokens: 62 }, 'TOO_LONG', /need 65 positions, there are 64/],
    [{ promptIds: [] }, 'USAGE', /empty/],
    [{ promptIds: [1, 300] }, 'TOKEN_RANGE', /300, the model knows 300/],
    [{ promptIds: [1, -1] }, 'TOKEN_RANGE', /-1/],
    [{ promptIds: [1.5] }, 'TOKEN_RANGE', /1.5/],
    [{ sampling: { topK: 5 } }, 'USAGE', /no effect at temperature 0/],
    [{ sampling: { logitBias: new Map([[300, 1]]) } }, 'USAGE', /299/],
    [{ topLogprobs: 21 }, 'USAGE', /0 to 20/],
    [{ adapter: 'a', adapterScale: Number.NaN }, 'USAGE', /adapter_scale/],
    [{ adapter: 'nobody' }, 'UNKNOWN_ADAPTER', /nobody/],
    [{ beam: { ...beamDefaults, numBeams: 4 } }, 'USAGE', /4 slots, which allow 3/],
    [{ beam: { ...beamDefaults, numBeams: 2 }, topLogprobs: 1 }, 'USAGE', /beam search and logprobs/],
  ] satisfies [Wishes, string, RegExp][])('%j', async (wishes, code, message) => {
    const { engine, generator } = setUp();
    await expect(ask(generator, wishes)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(engine.passes).toEqual([]);
    expect(generator.stats()).toMatchObject({ running: 0, waiting: 0, promptTokens: 0 });
  });
});

const kinds: Record<string, Wishes> = {
  greedy: {},
  sampling: { sampling: { temperature: 0.8, seed: 3 } },
  'top_k and top_p': { sampling: { temperature: 1.3, topK: 40, topP: 0.9, seed: 4 } },
  'many candidates': { sampling: { temperature: 5, topK: 200, seed: 5 } },
  min_p: { sampling: { temperature: 2, minP: 0.3, seed: 6 } },
  'penalties and bias': {
    sampling: {
      repetitionPenalty: 1.2,
      presencePenalty: 0.5,
      frequencyPenalty: 0.5,
      logitBias: new Map([
        [5, 3],
        [6, -4],
      ]),
    },
  },
  'log-probabilities': { topLogprobs: 3, sampling: { temperature: 1, seed: 2, logitBias: new Map([[9, 4]]) } },
  'a stop string': { stop: ['e'], maxNewTokens: 40 },
  'stop ids': { stopIds: ids(60, 7), maxNewTokens: 40 },
};
const constrained = (): Wishes[] => [
  { constraint: choiceConstraint(vocabulary, ['yes', 'no, never']) },
  {
    constraint: jsonSchemaConstraint(vocabulary, { type: 'object', properties: { a: { enum: [1, true, 'x'] } } }),
    sampling: { temperature: 1, seed: 8 },
    maxNewTokens: 50,
  },
];

describe('every kind of request', () => {
  const all = () => [...Object.values(kinds), ...constrained()];

  it('gives what the model says', async () => {
    for (const [i, wishes] of all().entries()) {
      const wanted = await expected(request(all()[i]));
      expect(await ask(setUp().generator, wishes), Object.keys(kinds)[i] ?? 'constraint').toMatchObject(wanted);
    }
  });

  it('gives the same beside others as alone', async () => {
    const { engine, generator } = setUp({ slots: 4 });
    await generator.addAdapter('a', fakeAdapter());
    const wishes = [...all(), ...all()].map((w, i) => ({ ...w, ...(i % 3 === 1 ? { adapter: 'a' } : {}) }));
    const wanted = await Promise.all(
      [...all(), ...all()].map((w, i) => expected(request({ ...w, ...(i % 3 === 1 ? { adapter: 'a' } : {}) }))),
    );
    const answers = await Promise.all(wishes.map((w) => ask(generator, w)));
    answers.forEach((answer, i) => {
      expect(answer, `${i}`).toMatchObject(wanted[i]!);
    });
    expect(engine.passes.some((p) => p.ids.length === 4)).toBe(true);
  });

  it('needs few programs for candidates', async () => {
    const { engine, generator } = setUp();
    for (const topK of [2, 65, 70, 99, 128, 129, 250, 1000, 1025, 5000]) {
      await ask(generator, { sampling: { temperature: 1, topK }, maxNewTokens: 2 });
    }
    expect([...engine.candidateCounts].sort((a, b) => a - b)).toEqual([64, 128, 256, 1024]);
  });
});

it('log-probabilities are the model’s own, before temperature and bias', async () => {
  const { generator } = setUp();
  const wishes: Wishes = { topLogprobs: 2, sampling: { temperature: 3, seed: 1, logitBias: new Map([[7, 9]]) } };
  const { logprobs, ids: made } = await ask(generator, wishes);
  const seen = [1, 2, 3];
  for (const [i, { id, logprob, top }] of logprobs!.entries()) {
    const row = [
      ...hashModel(
        seen,
        seen.map(() => ''),
      ),
    ];
    const sum = Math.log(row.reduce((s, x) => s + Math.exp(x), 0));
    const order = row.map((x, k) => [x - sum, k] as const).sort((a, b) => b[0] - a[0]);
    expect(id).toBe(made[i]);
    expect(logprob).toBeCloseTo(row[id]! - sum, 4);
    expect(top.map((t) => t.id)).toEqual(order.slice(0, 2).map(([, k]) => k));
    expect(top[0]!.logprob).toBeCloseTo(order[0]![0], 4);
    seen.push(id);
  }
});

describe('tokens that are known already', () => {
  it('of the chat so far are not computed again', async () => {
    const { engine, generator } = setUp();
    const first = await ask(generator, { promptIds: ids(20) });
    const before = engine.computed;
    const promptIds = [...ids(20), ...first.ids, ...ids(6, 5)];
    const second = await ask(generator, { promptIds, maxNewTokens: 1 });
    expect(second).toMatchObject(await expected(request({ promptIds, maxNewTokens: 1 })));
    // The last token of the answer was never computed.
    expect(second.cachedTokens).toBe(20 + first.ids.length - 1);
    expect(engine.computed - before).toBe(7);
  });

  it('of a system prompt come from whoever has them, also while that one is busy', async () => {
    const { engine, generator } = setUp({ slots: 3 });
    const system = ids(30);
    const reader = generator.generate(request({ promptIds: [...system, 7], maxNewTokens: 30 }));
    const pieces = await begin(reader);
    const promptIds = [...system, 8, 9];
    const other = await ask(generator, { promptIds });
    expect(other.cachedTokens).toBe(30);
    expect(other).toMatchObject(await expected(request({ promptIds })));
    expect(engine.copies).toEqual([[0, 1, 0, 30]]);
    expect(await collect(reader, pieces)).toMatchObject({ finish: 'length' });
  });

  it('are computed once for requests that come together', async () => {
    const { engine, generator } = setUp({ slots: 4 });
    const wishes = [1, 2, 3, 4].map((seed) => ({
      promptIds: ids(40),
      sampling: { temperature: 1, seed },
      maxNewTokens: 3,
    }));
    const answers = await Promise.all(wishes.map((w) => ask(generator, w)));
    for (const [i, w] of wishes.entries()) expect(answers[i]).toMatchObject(await expected(request(w)));
    expect(answers.map((a) => a.cachedTokens)).toEqual([0, 39, 39, 39]);
    expect(engine.computed).toBeLessThan(40 + 4 * 4);
  });

  it('leave a long chat as it is when something short begins as it does', async () => {
    const { generator } = setUp({ slots: 2 });
    const chat = [...ids(18), ...ids(30, 3)];
    await ask(generator, { promptIds: chat, maxNewTokens: 1 });
    expect((await ask(generator, { promptIds: [...ids(18), 5], maxNewTokens: 2 })).cachedTokens).toBe(18);
    expect((await ask(generator, { promptIds: [...chat, 4], maxNewTokens: 1 })).cachedTokens).toBe(chat.length);
  });

  it('are nothing to another adapter, another scale of it, or one that took its name', async () => {
    const { generator } = setUp();
    await generator.addAdapter('a', fakeAdapter(1));
    await generator.addAdapter('b', fakeAdapter(2));
    const cached = async (more: Wishes, weight: number) => {
      const wishes = { promptIds: ids(30), maxNewTokens: 3, ...more };
      const answer = await ask(generator, wishes);
      expect(answer).toMatchObject(await expected(request(wishes), weight));
      return answer.cachedTokens;
    };
    expect(await cached({}, 0)).toBe(0);
    expect(await cached({ adapter: 'a' }, 1)).toBe(0);
    expect(await cached({ adapter: 'b' }, 2)).toBe(0);
    expect(await cached({ adapter: 'a', adapterScale: 0.5 }, 1)).toBe(0);
    expect(await cached({ adapter: 'a' }, 1)).toBe(29);
    // Which is the base model.
    expect(await cached({ adapter: 'b', adapterScale: 0 }, 2)).toBe(29);
    await generator.removeAdapter('a');
    await generator.addAdapter('a', fakeAdapter(3));
    expect(await cached({ adapter: 'a' }, 3)).toBe(0);
  });
});

describe('guessing ahead', () => {
  /** Goes round and round, with a digression now and then. */
  const loop: FakeModel = (seen) => {
    const row = new Float32Array(tinyVocabSize);
    const at = seen.length % 23 === 0 ? 250 : 20 + (seen.length % 6);
    row[at] = 8;
    row[at + 1] = 7;
    return row;
  };

  it.each([{}, { temperature: 0.3, seed: 5 }])('changes nothing and saves passes: %j', async (sampling) => {
    const { engine, generator } = setUp({ model: loop, capacity: 512 });
    const wishes = { maxNewTokens: 200, sampling };
    const wanted = await referenceAnswer((seen) => loop(seen, []), tokenizer, request(wishes));
    expect(await ask(generator, wishes)).toMatchObject(wanted);
    expect(engine.passes.length).toBeLessThan('temperature' in sampling ? 150 : 100);
  });

  it('is done by one request alone, and leaves what follows each token to those that need it', async () => {
    const { engine, generator } = setUp({ model: loop, capacity: 512 });
    const wishes: Wishes[] = [{}, {}].map(() => ({ maxNewTokens: 60 }));
    await Promise.all(wishes.map((w) => ask(generator, w)));
    expect(engine.passes.filter((p) => p.ids.length === 2).length).toBeGreaterThan(50);
    for (const more of [
      { speculate: false },
      { topLogprobs: 0 },
      { sampling: { frequencyPenalty: 0.1 } },
      constrained()[0]!,
    ]) {
      const before = engine.passes.length;
      await ask(generator, { promptIds: ids(9), maxNewTokens: 20, ...more });
      expect(engine.passes.slice(before + 1).every((p) => p.ids[0]!.length === 1)).toBe(true);
    }
  });

  it('stops in the middle of right guesses where the answer ends', async () => {
    const script = [...encode('abcdefabcdef'), eos, ...encode('abcdef')];
    const { generator } = setUp({ model: scripted(script) });
    expect(await ask(generator, { maxNewTokens: 60 })).toMatchObject({ text: 'abcdefabcdef', finish: 'eos' });
    const { generator: another } = setUp({ model: scripted(encode('abcdef')) });
    const answer = await ask(another, { maxNewTokens: 60, stop: ['defab'] });
    expect(answer).toMatchObject({ text: 'abc', finish: 'stop' });
    // What was guessed too far is not taken for known.
    const next = [1, 2, 3, ...answer.ids, 9];
    expect((await ask(another, { promptIds: next, maxNewTokens: 1 })).cachedTokens).toBe(3 + answer.ids.length - 1);
  });
});
