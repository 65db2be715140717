// Answers, retries, failover and limits, against a server that misbehaves.
import { describe, expect, it } from 'vitest';
import { ask, server, setUp, until } from './helpers.ts';

describe('answers', () => {
  it('come from a chat service', async () => {
    const { url, asked } = await server({ key: 'k1' });
    const { teacher } = await setUp([{ url, apiKey: 'k1', organization: 'org-7', price: { input: 1, output: 2 } }]);
    const reply = await teacher.ask(
      ask('a/1', {
        prompt: [
          { role: 'system', content: 'You are brief.' },
          { role: 'user', content: 'Name a river.' },
        ],
        sampling: { maxTokens: 50, temperature: 0.5, topP: 0.9, presencePenalty: 1, logitBias: { 50256: -100 } },
      }),
    );
    expect(asked[0]!.body).toEqual({
      model: 'teacher',
      messages: [
        { role: 'system', content: 'You are brief.' },
        { role: 'user', content: 'Name a river.' },
      ],
      max_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 1,
      logit_bias: { 50256: -100 },
    });
    expect(asked[0]!.headers).toMatchObject({ 'openai-organization': 'org-7', 'x-client-request-id': 'a/1' });
    expect(reply).toMatchObject({ id: 'a/1', finishReason: 'length', completionTokens: 50, model: 'teacher' });
    expect(reply.text.length).toBeGreaterThan(10);
    expect(reply.cost).toBeCloseTo((reply.promptTokens + 2 * reply.completionTokens) / 1e6, 12);
    expect(teacher.spent()).toEqual({
      requests: 1,
      promptTokens: reply.promptTokens,
      completionTokens: reply.completionTokens,
      cost: reply.cost,
    });
  });

  it('come from a completions service, stopped where the request says', async () => {
    const { url, asked } = await server({ answer: () => 'one\ntwo\nthree' });
    const { teacher } = await setUp([{ url, api: 'completions', extraBody: { best_of: 1 } }]);
    const reply = await teacher.ask(ask('a', { sampling: { maxTokens: 9, stop: ['\nthree', 'none'] } }));
    expect(reply.text).toBe('one\ntwo');
    expect(asked[0]).toMatchObject({
      path: '/v1/completions',
      body: { prompt: 'Tell me something about a.', best_of: 1 },
    });
    await expect(teacher.ask(ask('b', { prompt: [{ role: 'user', content: 'x' }] }))).rejects.toMatchObject({
      code: 'TEACHER_NEEDS_CHAT',
    });
  });

  it('are asked for once, whoever asks and however often', async () => {
    const { url, asked } = await server({ latencyMs: 20 });
    const { teacher } = await setUp([{ url }]);
    const [a, b] = await Promise.all([teacher.ask(ask('a')), teacher.ask(ask('a'))]);
    expect(a).toEqual(b);
    expect(await teacher.ask(ask('a'))).toEqual(a);
    expect(asked).toHaveLength(1);
    await expect(teacher.ask(ask('a', { prompt: 'other' }))).rejects.toMatchObject({ code: 'TEACHER_CHANGED' });
  });

  it('that a filter holds back are replies', async () => {
    const filtered = { status: 400, body: { error: { message: 'held back', code: 'content_filter' } } };
    const { url } = await server({ fault: ({ id }) => (id === 'a' ? 'filter' : filtered) });
    const { teacher } = await setUp([{ url }]);
    expect((await teacher.ask(ask('a'))).finishReason).toBe('content_filter');
    expect(await teacher.ask(ask('b'))).toMatchObject({ finishReason: 'content_filter', text: '', promptTokens: 0 });
  });

  it('without usage numbers are counted by bytes, which is said once', async () => {
    const { url } = await server({ usage: false, answer: () => 'three words here' });
    const { teacher, events, journal } = await setUp([{ url }]);
    const reply = await teacher.ask(ask('a'));
    await teacher.ask(ask('b'));
    expect(reply.completionTokens).toBe(16);
    expect(reply.promptTokens).toBeGreaterThan('Tell me something about a.'.length);
    expect(events.filter(({ type }) => type === 'usage-missing')).toHaveLength(1);
    expect((await journal()).at(-1)).toMatchObject({ answered: 'b', estimated: true });
  });
});

describe('failures that pass', () => {
  it.each(['error', 'cut', 'reset', 'hang', 'stall', 'too-many', 'too-many-date', 'garbage'] as const)(
    '%s: asked again, with the same key, paid once',
    async (kind) => {
      const { url, asked, paid } = await server({
        fault: ({ id, attempt }) => (id === 'a' && attempt < 3 ? kind : undefined),
      });
      const timed = kind === 'hang' || kind === 'stall';
      const endpoint = { url, ...(timed ? { timeoutMs: 100 } : {}) };
      const { teacher, events } = await setUp([endpoint], { patience: timed ? { stallMs: 100 } : {} });
      // Garbage of a server that never worked is a login page.
      if (kind === 'garbage') await teacher.ask(ask('before'));
      const reply = await teacher.ask(ask('a'));
      expect(reply.text).not.toBe('');
      const tries = asked.filter(({ id }) => id === 'a');
      // A busy machine may be too slow for the limits of this test once more.
      expect(Math.min(tries.length, timed ? 3 : 9)).toBe(3);
      expect(new Set(tries.map(({ key }) => key)).size).toBe(1);
      expect(paid().get(tries[0]!.key)).toBe(1);
      expect(events.filter(({ type }) => type === 'retry').length).toBeGreaterThanOrEqual(2);
    },
  );

  it('end after so many tries', async () => {
    const { url, asked } = await server({ fault: () => 'error' });
    const { teacher, journal } = await setUp([{ url }], { patience: { tries: 4 } });
    await expect(teacher.ask(ask('a'))).rejects.toMatchObject({
      code: 'TEACHER_FAILING',
      message: expect.stringMatching(/keeps failing \(500: The server had an error/),
    });
    expect(asked).toHaveLength(4);
    // It has cost nothing, and the journal says so.
    expect((await journal()).at(-1)).toEqual({ unpaid: 'a' });
  });

  it('wait as long as the server asks, all requests together', async () => {
    const busy = { status: 429, headers: { 'x-ratelimit-reset-requests': '100ms' }, body: {} };
    const { url, asked } = await server({
      fault: ({ id, attempt }) => (id === 'a' && attempt === 1 ? busy : undefined),
    });
    const { teacher, events } = await setUp([{ url }]);
    const a = teacher.ask(ask('a'));
    await until(() => events.some(({ type }) => type === 'paused'));
    const b = teacher.ask(ask('b'));
    await Promise.all([a, b]);
    const paused = events.findIndex(({ type }) => type === 'paused');
    expect(events[paused]).toMatchObject({ waitMs: 100 });
    expect(asked.map(({ id }) => id)).toEqual(expect.arrayContaining(['a', 'b']));
    expect(events.slice(0, paused).filter(({ type }) => type === 'asked')).toHaveLength(1);
  });

  it('give up an endpoint that asks for more patience than we have', async () => {
    const { url } = await server({ retryAfter: 7200, fault: () => 'too-many' });
    const { teacher } = await setUp([{ url }]);
    await expect(teacher.ask(ask('a'))).rejects.toMatchObject({
      code: 'TEACHER_BUSY',
      message: expect.stringContaining('no more requests for the next 2 h'),
    });
  });
});

describe('several endpoints', () => {
  it('share by weight', async () => {
    const [one, two] = [await server(), await server()];
    const { teacher } = await setUp([{ url: one.url, weight: 3 }, { url: two.url }]);
    await Promise.all(Array.from({ length: 40 }, (_, i) => teacher.ask(ask(`r/${i}`))));
    expect([one.asked.length, two.asked.length]).toEqual([30, 10]);
  });

  it('keep to their concurrency', async () => {
    let waiting: (() => void)[] = [];
    // Nobody is answered before three are there.
    const gate = () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length < 3) return;
        for (const go of waiting) go();
        waiting = [];
      });
    const one = await server({ gate });
    const { teacher } = await setUp([{ url: one.url, concurrency: 3 }]);
    await Promise.all(Array.from({ length: 21 }, (_, i) => teacher.ask(ask(`r/${i}`))));
    expect(one.peak()).toBe(3);
  });

  it('take over from one that is dead', async () => {
    const [one, two] = [await server({ key: 'other' }), await server()];
    const { teacher, events } = await setUp([{ url: one.url, weight: 100 }, { url: two.url }]);
    await Promise.all(Array.from({ length: 6 }, (_, i) => teacher.ask(ask(`r/${i}`))));
    expect(two.paid().size).toBe(6);
    expect(events.filter(({ type }) => type === 'paused')).toHaveLength(1);
  });

  it('rest one that always fails', async () => {
    const [one, two] = [await server({ fault: () => 'error' }), await server({ latencyMs: 5 })];
    const { teacher } = await setUp(
      [
        { url: one.url, weight: 100 },
        { url: two.url, concurrency: 1 },
      ],
      {
        patience: { restMs: 60_000 },
      },
    );
    await Promise.all(Array.from({ length: 30 }, (_, i) => teacher.ask(ask(`r/${i}`))));
    expect(two.paid().size).toBe(30);
    // What was under way when it began to rest still fails.
    expect(one.asked.length).toBeLessThan(10);
  });

  it('do not get what another one may have answered', async () => {
    const one = await server({ fault: ({ attempt }) => (attempt === 1 ? 'cut' : undefined) });
    const two = await server();
    const { teacher } = await setUp([{ url: one.url, weight: 2 }, { url: two.url }]);
    await teacher.ask(ask('a'));
    expect([one.asked.length, two.asked.length]).toEqual([2, 0]);
  });
});

describe('what an endpoint does not know', () => {
  it('is left out from then on: structured output, max_tokens, sampling parameters', async () => {
    const refuse = (name: string) => ({
      status: 400,
      body: { error: { message: `Unsupported parameter: '${name}' is not supported with this model.`, param: name } },
    });
    const { url, asked } = await server({
      structured: false,
      maxCompletionTokens: true,
      fault: ({ body }) => (body.presence_penalty ? refuse('presence_penalty') : undefined),
    });
    const { teacher, events } = await setUp([{ url }]);
    const schema = { name: 'tasks', schema: { type: 'object' } };
    const one = (id: string) => ask(id, { schema, sampling: { maxTokens: 50, presencePenalty: 2, topP: 0.5 } });
    await teacher.ask(one('a'));
    const before = asked.length;
    await teacher.ask(one('b'));
    expect(asked.slice(before).map(({ body }) => body)).toEqual([
      { model: 'teacher', messages: expect.anything(), max_completion_tokens: 50, top_p: 0.5 },
    ]);
    expect(events.flatMap((event) => (event.type === 'adapted' ? event.what : []))).toHaveLength(3);
    expect(teacher.spent().requests).toBe(2);
  });

  it('is an error where the recipe insists', async () => {
    const { url } = await server({ structured: false });
    const { teacher } = await setUp([{ url, structured: true }]);
    const schema = { name: 'tasks', schema: { type: 'object' } };
    await expect(teacher.ask(ask('a', { schema }))).rejects.toMatchObject({ code: 'TEACHER_REFUSED' });
  });

  it('structured output is used where it is there', async () => {
    const { url } = await server();
    const { teacher } = await setUp([{ url }]);
    const schema = {
      type: 'object',
      properties: { tasks: { type: 'array', maxItems: 2, items: { properties: { instruction: { type: 'string' } } } } },
    };
    const { text } = await teacher.ask(ask('a', { schema: { name: 'tasks', schema }, sampling: { maxTokens: 900 } }));
    expect(JSON.parse(text).tasks).toHaveLength(2);
  });

  it('prompts with too little room behind them get shorter answers', async () => {
    const { url, asked } = await server({ context: 110 });
    const { teacher } = await setUp([{ url }]);
    await teacher.ask(ask('a'));
    expect(asked.map(({ body }) => body.max_tokens)).toEqual([200, 160, 128, 102]);
    const tooLong = ask('b', { prompt: 'word '.repeat(100) });
    expect(await teacher.ask(tooLong)).toMatchObject({ text: '', finishReason: 'content_filter' });
    // From an endpoint that never answered, it is an error.
    const other = await setUp([{ url }]);
    await expect(other.teacher.ask(tooLong)).rejects.toMatchObject({ code: 'TEACHER_PROMPT_TOO_LONG' });
  });
});

describe('a request that is refused', () => {
  const refusal = { status: 400, body: { error: { message: 'odd letters' } } };

  it('holds up nobody, where others are answered', async () => {
    const { url } = await server({ fault: ({ id }) => (id === 'bad' ? refusal : undefined), latencyMs: 10 });
    const { teacher, folder, events, journal } = await setUp([{ url }], { budget: { tokens: 1500 } });
    const [bad, good] = await Promise.all([teacher.ask(ask('bad')), teacher.ask(ask('good'))]);
    expect(bad).toMatchObject({ text: '', cost: 0, finishReason: 'content_filter' });
    expect(good.text).not.toBe('');
    expect(events).toContainEqual(expect.objectContaining({ type: 'refused', id: 'bad' }));
    expect(await journal()).toContainEqual(
      expect.objectContaining({ answered: 'bad', refused: expect.stringMatching(/odd letters/) }),
    );
    // It is settled for good, and nothing is set aside for it.
    await teacher.close();
    const again = await setUp([{ url }], { folder, budget: { tokens: 1500 } });
    expect(await again.teacher.ask(ask('bad'))).toEqual(bad);
    await again.teacher.ask(ask('more'));
  });

  it('is an error where all are', async () => {
    let refusing = true;
    const { url, asked } = await server({ fault: () => (refusing ? refusal : undefined) });
    const { teacher } = await setUp([{ url }]);
    const first = await Promise.allSettled(Array.from({ length: 4 }, (_, i) => teacher.ask(ask(`r/${i}`))));
    expect(first.map((result) => result.status)).toEqual(Array(4).fill('rejected'));
    refusing = false;
    await teacher.ask(ask('good'));
    refusing = true;
    for (let i = 0; i < 5; i++) await teacher.ask(ask(`s/${i}`));
    await expect(teacher.ask(ask('s/5'))).rejects.toMatchObject({ code: 'TEACHER_REFUSED' });
    expect(asked).toHaveLength(11);
  });
});

describe('many requests', () => {
  it('may wait: only the first in the queue is looked at', async () => {
    const { url } = await server();
    const { teacher } = await setUp([{ url, concurrency: 2 }], { patience: { closeMs: 0 } });
    const replies = Array.from({ length: 5000 }, (_, i) => teacher.ask(ask(`r/${i}`)));
    for (const reply of replies) reply.catch(() => {});
    await Promise.all(replies.slice(0, 20));
    await teacher.close();
    const results = await Promise.allSettled(replies);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(20);
    expect(results.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'TEACHER_CLOSED' } });
  });
});
