// Several requests on one engine that notices every wrong key or value: their order, their ends, and what goes wrong.
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { beamDefaults, type Generated, type Piece } from '../../../src/infer/index.ts';
import { type FakeEngine, fakeAdapter } from '../../helpers/fakeEngine.ts';
import {
  ask,
  begin,
  collect,
  expected,
  gate,
  ids,
  request,
  settle,
  setUp,
  type Wishes,
} from '../../helpers/generation.ts';

const beam = { ...beamDefaults, numBeams: 2 };

describe('order', () => {
  it('a long prompt does not keep others from their tokens, nor they it', async () => {
    const { engine, generator } = setUp({ capacity: 2048, slots: 2 });
    const talking = generator.generate(request({ maxNewTokens: 200, ignoreEos: true }));
    const pieces = await begin(talking);
    const from = engine.passes.length;
    const long = ask(generator, { promptIds: ids(1500), maxNewTokens: 2 });
    const rest = collect(talking, pieces);
    await long;
    const kinds = engine.passes.slice(from).map((p) => p.ids.flat().length);
    const chunks = kinds.flatMap((n, i) => (n > 5 ? [i] : []));
    expect(Math.max(...kinds)).toBeLessThanOrEqual(256);
    expect(chunks).toHaveLength(6);
    expect(chunks.slice(1).every((at, i) => at - chunks[i]! === 2)).toBe(true);
    await rest;
  });

  it('several short prompts are taken in before the next token', async () => {
    const { engine, generator } = setUp({ slots: 4, capacity: 512 });
    const lengths = [100, 100, 100, 4];
    const asked = lengths.map((n, i) => ask(generator, { promptIds: ids(n, i + 1), maxNewTokens: 5, ignoreEos: true }));
    await Promise.all(asked);
    const sizes = engine.passes.map((p) => (p.ids.length > 1 ? 'tokens' : p.ids[0]!.length));
    expect(sizes.slice(0, 5)).toEqual([100, 100, 'tokens', 100, 4]);
    expect(engine.passes[5]!.ids).toHaveLength(4);
  });

  it('who came first starts first', async () => {
    const { generator } = setUp({ slots: 2 });
    const started: number[] = [];
    await Promise.all(
      [5, 1, 9, 2, 4].map(async (maxNewTokens, i) => {
        for await (const _ of generator.generate(
          request({ promptIds: ids(5 + i, i + 1), maxNewTokens, ignoreEos: true }),
        ))
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

it('who is left over after others moves together, so that a pass has few rows for nobody', async () => {
  const { engine, generator } = setUp({ slots: 6 });
  const wishes = [50, 2, 2, 2, 2, 50].map((maxNewTokens, i) => ({
    promptIds: ids(5 + i, i + 1),
    maxNewTokens,
    ignoreEos: true,
  }));
  const answers = await Promise.all(wishes.map((w) => ask(generator, w)));
  for (const [i, w] of wishes.entries()) expect(answers[i]).toMatchObject(await expected(request(w)));
  expect(engine.passes.filter((p) => p.ids.length > 2).length).toBeLessThan(5);
  expect(engine.copies).toHaveLength(1);
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
    const fourth = ask(generator, { beam, signal: stop.signal }).catch((e) => e.code);
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

  it('a token that was chosen too late is not taken', async () => {
    const { engine, generator } = setUp();
    const stop = new AbortController();
    // So many are equally probable that the whole row is asked for.
    const row = engine.row;
    let asked = 0;
    engine.row = (i) => {
      if (++asked === 3) stop.abort();
      return row(i);
    };
    const sampling = { temperature: 90, topP: 0.99, seed: 1 };
    const cut = await ask(generator, {
      sampling,
      topLogprobs: 1,
      maxNewTokens: 40,
      ignoreEos: true,
      signal: stop.signal,
    });
    await settle();
    expect(asked).toBe(3);
    expect(cut).toMatchObject({ finish: 'aborted' });
    expect(cut.logprobs).toHaveLength(cut.ids.length);
    expect(generator.stats().generatedTokens).toBe(cut.ids.length);
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
    const pieces = begin(idler);
    expect(await ask(generator, { promptIds: ids(9) })).toMatchObject({ finish: 'length' });
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    const { finish, decodeSeconds } = await collect(idler, await pieces);
    expect(finish).toBe('length');
    expect(decodeSeconds).toBeLessThan(5);
  });

  it('beams end with the best so far when they are aborted, and with nothing when the reader goes', async () => {
    const { engine, generator } = setUp({ slots: 3 });
    const stop = new AbortController();
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
    const passes = engine.passes.length;
    open();
    expect(await ask(generator, { maxNewTokens: 12 })).toMatchObject(await expected(request()));
    expect(generator.stats().generatedTokens).toBe(cut.ids.length + 12);
    expect(engine.passes.length - passes).toBeLessThanOrEqual(13);
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
    const beams = ask(generator, { beam });
    await settle();
    await generator.close();
    expect(await beams).toMatchObject({ finish: 'aborted' });
  });

  it('does not let beams go on that nobody waits for', async () => {
    const { open, opened } = gate();
    const { engine, generator } = setUp({ slots: 3, gate: () => opened });
    const beams = ask(generator, { beam, maxNewTokens: 40 });
    await settle();
    const over = generator.close();
    open();
    await over;
    expect(await beams).toMatchObject({ finish: 'aborted', ids: [] });
    expect(engine.passes).toHaveLength(1);
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
    const pieces = await begin(talking);
    const copy = engine.copyPrefix;
    engine.copyPrefix = () => {
      throw new Error('no copy');
    };
    await expect(ask(generator, { promptIds: [...ids(30), 4] })).rejects.toThrow('no copy');
    engine.copyPrefix = copy;
    expect(await ask(generator, { promptIds: [...ids(30), 4] })).toMatchObject({ cachedTokens: 30 });
    await collect(talking, pieces);
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
    await expect(ask(damaged, { beam })).rejects.toThrow('damaged');
  });
});

describe('adapters', () => {
  it('come while others talk', async () => {
    const { engine, generator } = setUp();
    const talking = generator.generate(request({ maxNewTokens: 50, ignoreEos: true }));
    const pieces = await begin(talking);
    await generator.addAdapter('a', fakeAdapter());
    expect(generator.stats().running).toBe(1);
    const wishes = { adapter: 'a', promptIds: ids(5) };
    expect(await ask(generator, wishes)).toMatchObject(await expected(request(wishes)));
    expect(await collect(talking, pieces)).toMatchObject({ finish: 'length' });
    expect(engine.passes.some((p) => p.adapters.filter((a) => a).length === 1 && p.ids.length === 2)).toBe(true);
  });

  it('go when the last request that was made before has ended, also one that still waited', async () => {
    const { engine, generator } = setUp({ slots: 1 });
    await generator.addAdapter('a', fakeAdapter(1));
    const { open, opened } = gate();
    engine.gate = () => opened;
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
    await settle();
    expect(order).toEqual([]);
    open();
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
  const { engine, generator } = setUp({ slots: 3 });
  const answers = await Promise.all([
    ask(generator, { promptIds: ids(30) }),
    ask(generator, { promptIds: [...ids(25), 3] }),
    ask(generator, { maxNewTokens: 1 }),
    ask(generator, { beam, maxNewTokens: 4 }),
  ]);
  const sum = (of: (a: Generated) => number) => answers.reduce((n, a) => n + of(a), 0);
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
  for (const a of answers)
    expect(Math.min(a.queueSeconds, a.prefillSeconds, a.decodeSeconds)).toBeGreaterThanOrEqual(0);
  expect(Math.min(stats.prefillSeconds, stats.decodeSeconds)).toBeGreaterThan(0);
});
