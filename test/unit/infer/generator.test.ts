// A generator on an engine that notices every wrong key or value: how answers end, what is shown when, several at once.
import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  beamDefaults,
  choiceConstraint,
  createGenerator,
  type Generated,
  type GenerationRequest,
  type GeneratorOptions,
  jsonSchemaConstraint,
  type Piece,
  type TextDecoder,
  tokenVocabulary,
} from '../../../src/infer/index.ts';
import { fromTokenizerJson } from '../../../src/tokenizer/index.ts';
import {
  FakeEngine,
  type FakeEngineOptions,
  type FakeModel,
  fakeAdapter,
  fakeAdapterKey,
  hashModel,
} from '../../helpers/fakeEngine.ts';
import { ask, collect, referenceAnswer, request, type Wishes } from '../../helpers/generation.ts';
import { tinyTokenizerConfig, tinyTokenizerJson, tinyVocabSize } from '../../helpers/tinyTokenizer.ts';

const tokenizer = fromTokenizerJson(tinyTokenizerJson(), tinyTokenizerConfig());
const eos = tokenizer.eosId!;
const encode = (s: string) => tokenizer.encode(s);
const vocabulary = tokenVocabulary(tokenizer);

function setUp(options: FakeEngineOptions = {}, more: Partial<GeneratorOptions> = {}) {
  const engine = new FakeEngine(options);
  const generator = createGenerator({ engine: engine.asEngine, tokenizer, precision: 'fp32', ...more });
  return { engine, generator };
}

/** The most probable tokens are `script`, one after the other, whatever was asked. */
const scripted =
  (script: readonly number[], promptLength = 3): FakeModel =>
  (ids) => {
    const row = new Float32Array(tinyVocabSize);
    row[script[(ids.length - promptLength) % script.length]!] = 10;
    return row;
  };

/** The answer that a request gets from `hashModel`, worked out without an engine. */
function expected(asked: GenerationRequest, weight = 1) {
  const { adapter, adapterScale: scale = 1 } = asked;
  const key = adapter && scale !== 0 ? fakeAdapterKey({ name: adapter, scale }, fakeAdapter(weight)) : '';
  return referenceAnswer((ids) => hashModel(ids, new Array(ids.length).fill(key)), tokenizer, asked);
}

const ids = (count: number, seed = 1) => Array.from({ length: count }, (_, i) => (seed * 37 + i * i * seed) % 290);
/** Lets everything that can go on without a timer go on. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((next) => setImmediate(next));
};
/** A gate that stays shut until it is opened. */
function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

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
    const row = [...hashModel(seen, seen.map(() => ''))];
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
    await reader.next();
    const promptIds = [...system, 8, 9];
    const other = await ask(generator, { promptIds });
    expect(other.cachedTokens).toBe(30);
    expect(other).toMatchObject(await expected(request({ promptIds })));
    expect(engine.copies).toEqual([[0, 1, 0, 30]]);
    expect(await collect(reader)).toMatchObject({ finish: 'length' });
  });

  it('are computed once for requests that come together', async () => {
    const { engine, generator } = setUp({ slots: 4 });
    const wishes = [1, 2, 3, 4].map((seed) => ({ promptIds: ids(40), sampling: { temperature: 1, seed }, maxNewTokens: 3 }));
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
    expect(await cached({ adapter: 'b', adapterScale: 0 }, 2)).toBe(0);
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
    for (const more of [{ topLogprobs: 0 }, { sampling: { frequencyPenalty: 0.1 } }, constrained()[0]!]) {
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

describe('order', () => {
  it('a long prompt does not keep others from their tokens, nor they it', async () => {
    const { engine, generator } = setUp({ capacity: 2048, slots: 2 });
    const short = ask(generator, { maxNewTokens: 30, ignoreEos: true });
    await settle();
    expect(engine.passes.length).toBeGreaterThan(0);
    const { engine: e2, generator: g2 } = setUp({ capacity: 2048, slots: 2 });
    const talking = g2.generate(request({ maxNewTokens: 200, ignoreEos: true }));
    await talking.next();
    const from = e2.passes.length;
    const long = ask(g2, { promptIds: ids(1500), maxNewTokens: 2 });
    const rest = collect(talking);
    await long;
    const kinds = e2.passes.slice(from).map((p) => p.ids.flat().length);
    const chunks = kinds.flatMap((n, i) => (n > 5 ? [i] : []));
    expect(Math.max(...kinds)).toBeLessThanOrEqual(256);
    expect(chunks).toHaveLength(6);
    expect(chunks.slice(1).every((at, i) => at - chunks[i]! === 2)).toBe(true);
    await Promise.all([short, rest]);
  });

  it('who came first starts first', async () => {
    const { generator } = setUp({ slots: 2 });
    const started: number[] = [];
    await Promise.all(
      [5, 1, 9, 2, 4].map(async (maxNewTokens, i) => {
        for await (const _ of generator.generate(request({ promptIds: ids(5 + i, i + 1), maxNewTokens, ignoreEos: true })))
          if (!started.includes(i)) started.push(i);
      }),
    );
    expect(started).toEqual([0, 1, 2, 3, 4]);
  });

  it('beams wait for those before them, and are waited for by those after them', async () => {
    const { generator } = setUp({ slots: 3 });
    const ended: string[] = [];
    const run = async (name: string, wishes: Wishes) => {
      await ask(generator, wishes);
      ended.push(name);
    };
    const beam = { ...beamDefaults, numBeams: 2 };
    await Promise.all([
      run('long', { maxNewTokens: 30, ignoreEos: true }),
      run('beams', { beam, maxNewTokens: 3 }),
      run('short', { maxNewTokens: 1 }),
      run('beams again', { beam, maxNewTokens: 3 }),
      run('last', { maxNewTokens: 1 }),
    ]);
    expect(ended).toEqual(['long', 'beams', 'short', 'beams again', 'last']);
  });
});

describe('nobody wants more', () => {
  it('a request that waits ends at once, while the pass before it goes on', async () => {
    const { open, opened } = gate();
    const { generator } = setUp({ slots: 1, gate: () => opened });
    const first = ask(generator);
    const stop = new AbortController();
    const second = ask(generator, { signal: stop.signal });
    const third = generator.generate(request());
    const waits = third.next();
    const fourth = ask(generator, { beam: { ...beamDefaults, numBeams: 2 }, signal: stop.signal }).catch((e) => e.code);
    await settle();
    expect(generator.stats()).toMatchObject({ running: 1, waiting: 2 });
    stop.abort();
    const ended = await second;
    expect(ended).toMatchObject({ finish: 'aborted', ids: [], text: '', prefillSeconds: 0, decodeSeconds: 0 });
    expect(await fourth).toBe('USAGE');
    expect(await third.return(undefined as never)).toEqual({ done: true, value: undefined });
    expect(await waits).toMatchObject({ done: true, value: { finish: 'aborted' } });
    expect(generator.stats()).toMatchObject({ running: 1, waiting: 0 });
    open();
    expect(await first).toMatchObject(await expected(request()));
    expect(generator.stats()).toMatchObject({ promptTokens: 3 });
  });

  it.each(['signal', 'return'] as const)('a request in the middle of a pass ends at once, by %s', async (how) => {
    let hold: Promise<void> | undefined;
    const { engine, generator } = setUp({ slots: 1, gate: () => hold });
    const stop = new AbortController();
    const reader = generator.generate(request({ maxNewTokens: 40, ignoreEos: true, signal: stop.signal }));
    const { value } = await reader.next();
    const { open, opened } = gate();
    hold = opened;
    const pieces: Piece[] = [value as Piece];
    let result: Generated | undefined;
    const reading = (async () => {
      for (;;) {
        const step = await reader.next();
        if (step.done) {
          result = step.value;
          return;
        }
        pieces.push(step.value);
      }
    })();
    await settle();
    expect(result).toBeUndefined();
    if (how === 'signal') stop.abort();
    else void reader.return(undefined as never);
    await reading;
    expect(result).toMatchObject({ finish: 'aborted', text: pieces.map((p) => p.text).join('') });
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    // Its slot is free once the pass is over.
    const next = ask(generator, { promptIds: [...ids(8)] });
    await settle();
    const passes = engine.passes.length;
    hold = undefined;
    open();
    expect(await next).toMatchObject(await expected(request({ promptIds: ids(8) })));
    expect(engine.passes[passes]!.pasts).toEqual([0]);
  });

  it('who leaves the loop ends the request', async () => {
    const { engine, generator } = setUp();
    for await (const piece of generator.generate(request({ maxNewTokens: 60, ignoreEos: true }))) {
      expect(piece.ids.length).toBeGreaterThan(0);
      break;
    }
    await settle();
    expect(engine.passes.length).toBeLessThan(10);
    expect(generator.stats().running).toBe(0);
  });

  it('an aborted signal costs no pass, and a request that was not begun nothing', async () => {
    const { engine, generator } = setUp();
    expect(await ask(generator, { signal: AbortSignal.abort() })).toMatchObject({ finish: 'aborted', ids: [] });
    await generator.generate(request()).return(undefined as never);
    await settle();
    expect(engine.passes).toEqual([]);
  });

  it('who never reads costs no slot, and no listener', async () => {
    const { generator } = setUp({ slots: 1 });
    const stop = new AbortController();
    const idler = generator.generate(request({ signal: stop.signal }));
    void idler.next();
    expect(await ask(generator, { promptIds: ids(9) })).toMatchObject({ finish: 'length' });
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    const { finish, decodeSeconds } = await collect(idler);
    expect(finish).toBe('length');
    expect(decodeSeconds).toBeLessThan(5);
  });

  it('beams end with the best so far when they are aborted, and with nothing when the reader goes', async () => {
    const { engine, generator } = setUp({ slots: 3 });
    const stop = new AbortController();
    const beam = { ...beamDefaults, numBeams: 2 };
    engine.gate = (pass) => {
      if (pass.pasts[0] === 6) stop.abort();
    };
    const cut = await ask(generator, { beam, maxNewTokens: 40, signal: stop.signal });
    expect(cut).toMatchObject({ finish: 'aborted' });
    expect(cut.ids.length).toBeGreaterThan(2);
    const { open, opened } = gate();
    engine.gate = () => opened;
    const reader = generator.generate(request({ beam, maxNewTokens: 40 }));
    const waits = reader.next();
    await settle();
    void reader.return(undefined as never);
    expect(await waits).toMatchObject({ done: true, value: { finish: 'aborted', ids: [] } });
    open();
    expect(await ask(generator)).toMatchObject(await expected(request()));
    expect(generator.stats().generatedTokens).toBe(cut.ids.length + 12);
  });
});

describe('close', () => {
  it('ends every reader and every change, and then refuses', async () => {
    const { open, opened } = gate();
    let closed = 0;
    const { generator } = setUp(
      { slots: 1, gate: () => opened },
      {
        onClose: async () => {
          closed++;
          open();
        },
      },
    );
    const running = ask(generator);
    const waits = ask(generator);
    await settle();
    const change = generator.addAdapter('a', fakeAdapter());
    change.catch(() => {});
    const unread = generator.generate(request());
    const first = unread.next();
    await generator.close();
    expect(await running).toMatchObject({ finish: 'aborted', ids: [] });
    expect(await waits).toMatchObject({ finish: 'aborted' });
    expect(await first).toMatchObject({ done: true });
    await expect(change).rejects.toMatchObject({ code: 'USAGE' });
    await generator.close();
    expect(closed).toBe(1);
    expect(generator.stats()).toMatchObject({ running: 0, waiting: 0 });
    await expect(ask(generator)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(/closed/) });
    await expect(generator.addAdapter('b', fakeAdapter())).rejects.toMatchObject({ code: 'USAGE' });
    expect(generator.adapters).toEqual([]);
  });

  it('ends beams too, when the engine goes away under them', async () => {
    let fail!: (e: Error) => void;
    const broken = new Promise<void>((_, reject) => {
      fail = reject;
    });
    const { generator } = setUp({ slots: 3, gate: () => broken }, { onClose: async () => fail(new Error('closed')) });
    const beams = ask(generator, { beam: { ...beamDefaults, numBeams: 2 } });
    await settle();
    await generator.close();
    expect(await beams).toMatchObject({ finish: 'aborted' });
  });
});

describe('the engine fails', () => {
  it('in a prompt: that request fails, others go on, and nothing of it is trusted', async () => {
    const bad = ids(20, 9);
    let broken = true;
    const { generator } = setUp({
      slots: 2,
      gate(pass) {
        if (broken && pass.ids[0]!.includes(bad[3]!) && pass.ids[0]!.length > 5) throw new Error('out of memory');
      },
    });
    const talking = ask(generator, { maxNewTokens: 30 });
    await expect(ask(generator, { promptIds: bad })).rejects.toThrow('out of memory');
    expect(await talking).toMatchObject(await expected(request({ maxNewTokens: 30 })));
    broken = false;
    const again = await ask(generator, { promptIds: bad });
    expect(again).toMatchObject({ cachedTokens: 0, ...(await expected(request({ promptIds: bad }))) });
  });

  it('in a token: all that took part fail after what they had, those that wait go on', async () => {
    let passes = 0;
    const { generator } = setUp({
      slots: 2,
      gate(pass) {
        if (pass.ids.length === 2 && ++passes === 4) throw new Error('gone');
      },
    });
    const shown = [0, 0];
    const two = [0, 1].map(async (i) => {
      for await (const piece of generator.generate(request({ promptIds: ids(6, i + 1), ignoreEos: true })))
        shown[i]! += piece.ids.length;
    });
    const third = ask(generator, { promptIds: ids(6) });
    for (const one of two) await expect(one).rejects.toThrow('gone');
    expect(Math.min(...shown)).toBeGreaterThan(0);
    expect(await third).toMatchObject({ cachedTokens: 0, ...(await expected(request({ promptIds: ids(6) }))) });
    expect(generator.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  it('in a copy: whoever it was for fails and gives its slot back', async () => {
    const { engine, generator } = setUp({ slots: 2 });
    const talking = generator.generate(request({ promptIds: ids(40), maxNewTokens: 20, ignoreEos: true }));
    await talking.next();
    const copy = engine.copyPrefix;
    engine.copyPrefix = () => {
      throw new Error('no copy');
    };
    await expect(ask(generator, { promptIds: [...ids(30), 4] })).rejects.toThrow('no copy');
    engine.copyPrefix = copy;
    expect(await ask(generator, { promptIds: [...ids(30), 4] })).toMatchObject({ cachedTokens: 30 });
    await collect(talking);
  });

  it('what a request itself does wrong is its own failure', async () => {
    const { generator } = setUp();
    const constraint = { allowed: () => new Uint32Array(10), accept() {} };
    const [bad, good] = await Promise.allSettled([ask(generator, { constraint }), ask(generator)]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'NO_TOKEN' } });
    expect(good).toMatchObject({ status: 'fulfilled', value: await expected(request()) });
  });
});

describe('what must be true before anything is shown', () => {
  it('is waited for, and its failure is what readers get, also of beams', async () => {
    const { open, opened } = gate();
    const { generator } = setUp({ slots: 3 }, { ready: opened });
    let shown = false;
    const answer = ask(generator).finally(() => {
      shown = true;
    });
    await settle();
    expect(shown).toBe(false);
    open();
    expect(await answer).toMatchObject({ finish: 'length' });
    const { generator: damaged } = setUp({ slots: 3 }, { ready: Promise.reject(new Error('damaged file')) });
    await expect(ask(damaged)).rejects.toThrow('damaged');
    await expect(ask(damaged, { beam: { ...beamDefaults, numBeams: 2 } })).rejects.toThrow('damaged');
  });
});

describe('adapters', () => {
  it('come while others talk', async () => {
    const { engine, generator } = setUp();
    const talking = generator.generate(request({ maxNewTokens: 50, ignoreEos: true }));
    await talking.next();
    await generator.addAdapter('a', fakeAdapter());
    expect(generator.stats().running).toBe(1);
    const wishes = { adapter: 'a', promptIds: ids(5) };
    expect(await ask(generator, wishes)).toMatchObject(await expected(request(wishes)));
    expect(await collect(talking)).toMatchObject({ finish: 'length' });
    expect(engine.passes.some((p) => p.adapters.filter((a) => a).length === 1 && p.ids.length === 2)).toBe(true);
  });

  it('go when the last request that was made before has ended, also one that still waited', async () => {
    const { engine, generator } = setUp({ slots: 1 });
    await generator.addAdapter('a', fakeAdapter(1));
    const first = ask(generator, { maxNewTokens: 20 });
    const wishes = { adapter: 'a', promptIds: ids(5) };
    const waits = ask(generator, wishes);
    await settle();
    const order: string[] = [];
    const gone = generator.removeAdapter('a').then(() => order.push('gone'));
    expect(generator.adapters).toEqual([]);
    await expect(ask(generator, wishes)).rejects.toMatchObject({ code: 'UNKNOWN_ADAPTER' });
    await expect(generator.removeAdapter('a')).rejects.toMatchObject({ code: 'UNKNOWN_ADAPTER' });
    const again = generator.addAdapter('a', fakeAdapter(2)).then(() => order.push('again'));
    expect(await waits).toMatchObject(await expected(request(wishes)));
    await Promise.all([first, gone, again]);
    expect(order).toEqual(['gone', 'again']);
    expect(engine.adapters.get('a')!.params[0]).toBe(2);
    expect(await ask(generator, wishes)).toMatchObject({ cachedTokens: 0, ...(await expected(request(wishes), 2)) });
  });

  it('are refused when the name is taken or they do not fit', async () => {
    const { engine, generator } = setUp();
    const both = await Promise.allSettled([
      generator.addAdapter('a', fakeAdapter()),
      generator.addAdapter('a', fakeAdapter()),
    ]);
    expect(both.map((b) => b.status)).toEqual(['fulfilled', 'rejected']);
    expect(both[1]).toMatchObject({ reason: { code: 'USAGE' } });
    const { layout, params } = fakeAdapter();
    const wide = { ...layout, tensors: layout.tensors.map((t) => ({ ...t, shape: [9, 9] as const })) };
    const deep = { ...layout, tensors: layout.tensors.map((t) => ({ ...t, layer: t.layer + 1 })) };
    for (const [adapter, message] of [
      [{ layout: wide, params }, /A of q_proj is for a width of 9, the model has 8/],
      [{ layout: deep, params }, /layer 2, the model has 2/],
      [{ layout, params: params.slice(1) }, /numbers/],
    ] as const) {
      await expect(generator.addAdapter('b', adapter)).rejects.toMatchObject({
        code: 'BAD_ADAPTER',
        message: expect.stringMatching(message),
      });
    }
    const set = engine.setAdapter;
    engine.setAdapter = function (this: FakeEngine, name, adapter) {
      if (adapter) {
        this.adapters.set(name, adapter);
        throw new Error('no memory');
      }
      set.call(this, name, adapter);
    };
    await expect(generator.addAdapter('b', fakeAdapter())).rejects.toThrow('no memory');
    engine.setAdapter = set;
    expect([...engine.adapters.keys()]).toEqual(['a']);
    await generator.addAdapter('b', fakeAdapter());
    expect(generator.adapters).toEqual(['a', 'b']);
  });
});

it('stats add up', async () => {
  const { engine, generator } = setUp({ slots: 2 });
  const answers = await Promise.all([
    ask(generator, { promptIds: ids(30) }),
    ask(generator, { promptIds: [...ids(25), 3] }),
    ask(generator, { maxNewTokens: 1 }),
    ask(generator, { beam: { ...beamDefaults, numBeams: 2, returned: 1 }, maxNewTokens: 4 }).catch((e) => e),
  ]);
  const ok = answers.filter((a) => a.ids);
  const sum = (of: (a: Generated) => number) => ok.reduce((n, a) => n + of(a), 0);
  const stats = generator.stats();
  expect(stats).toMatchObject({
    running: 0,
    waiting: 0,
    promptTokens: sum((a) => a.promptTokens),
    cachedTokens: sum((a) => a.cachedTokens),
    generatedTokens: sum((a) => a.ids.length),
  });
  expect(stats.cachedTokens).toBeGreaterThan(0);
  expect(engine.computed).toBeGreaterThanOrEqual(stats.promptTokens - stats.cachedTokens);
  for (const a of ok) expect(Math.min(a.queueSeconds, a.prefillSeconds, a.decodeSeconds)).toBeGreaterThanOrEqual(0);
  expect(Math.min(stats.prefillSeconds, stats.decodeSeconds)).toBeGreaterThan(0);
});
