// What happens when clients leave, do not read, come in crowds, or the server has to end.
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeServer, fakeServer, get, openStream, statusOf, until } from '../../helpers/fakeServer.ts';

const model = 'fake-base';
const messages = [{ role: 'user' as const, content: 'Go on.' }];
/** An answer that takes as long as the test likes. */
const endless = { model, messages, ignore_eos: true, max_tokens: 1900 };
const body = (more: object) => ({ ...endless, ...more }) as OpenAI.ChatCompletionCreateParamsNonStreaming;

let s: FakeServer;
afterEach(() => s.close());
const busy = () => s.fake.assistant.generator.stats();

describe('a client that leaves', () => {
  it.each([true, false])('ends its answer within one token (stream: %s)', async (stream) => {
    s = await fakeServer({ delay: 5 });
    const leaving = new AbortController();
    const call = s.client.chat.completions.create(body({ stream, n: 2, temperature: 1 }), { signal: leaving.signal });
    const reading = (async () => {
      for await (const _ of (await call) as object as AsyncIterable<unknown>);
    })().catch((e) => e);
    await until(() => s.fake.tokens() > 6);
    leaving.abort();
    await until(() => s.fake.live() === 0);
    await reading;
    expect(s.fake.afterAbort).toHaveLength(2);
    for (const late of s.fake.afterAbort) expect(late).toBeLessThanOrEqual(1);
    await until(() => s.records.length > 0);
    expect(s.records[0]).toMatchObject({ cut: true, path: '/v1/chat/completions' });
    expect((await get(s.server.port, '/metrics')).text).toContain('huacaya_requests_cut_total{reason="client_gone"} 1');
    expect(s.errors).toEqual([]);
    await s.client.chat.completions.create({ model, messages });
  });

  it('gives its place in the queue away', async () => {
    s = await fakeServer({ slots: 1, delay: 5 });
    const first = await openStream(s.server.port, '/v1/chat/completions', body({ stream: true }));
    await until(() => busy().running === 1);
    const second = await openStream(s.server.port, '/v1/chat/completions', body({ stream: true }));
    await until(() => busy().waiting === 1);
    second.destroy();
    await until(() => busy().waiting === 0);
    expect(s.fake.live()).toBe(1);
    first.destroy();
    await until(() => s.fake.live() === 0);
  });

  it('may leave in the middle of its body', async () => {
    s = await fakeServer();
    const socket = await openStream(s.server.port, '/v1/chat/completions', {});
    socket.destroy();
    await until(() => s.records.length === 1);
    expect(s.errors).toEqual([]);
  });
});

describe('a client that does not read', () => {
  it('is dropped, and its answer ends', async () => {
    // Long pieces fill what the sockets hold.
    s = await fakeServer({ script: () => 'a'.repeat(1500) }, { writeTimeout: 0.3 });
    const sockets = await Promise.all(
      Array.from({ length: 3 }, () =>
        openStream(
          s.server.port,
          '/v1/chat/completions',
          body({ stream: true, n: 16, temperature: 1, logprobs: true, top_logprobs: 20 }),
        ),
      ),
    );
    for (const socket of sockets) socket.pause();
    await until(() => s.records.length === 3);
    expect(s.records.every((record) => record.cut)).toBe(true);
    expect(s.fake.live()).toBe(0);
    expect(busy().running).toBe(0);
    expect(s.errors).toEqual([]);
    for (const socket of sockets) socket.destroy();
  });

  it('does not hold up others', async () => {
    s = await fakeServer({ slots: 2 }, { writeTimeout: 5 });
    const slow = await openStream(
      s.server.port,
      '/v1/chat/completions',
      body({ stream: true, logprobs: true, top_logprobs: 20 }),
    );
    slow.pause();
    for (let i = 0; i < 20; i++) await s.client.chat.completions.create({ model, messages });
    slow.destroy();
  });
});

describe('too many', () => {
  it('are told to come again, and when', async () => {
    s = await fakeServer({ slots: 1, delay: 3 }, { maxQueue: 2 });
    const calls = Array.from({ length: 6 }, () =>
      s.client.chat.completions.create(body({ max_tokens: 20 })).then(
        () => 200,
        (e) => e,
      ),
    );
    const ends = await Promise.all(calls);
    const refused = ends.filter((end) => end !== 200);
    expect(refused).toHaveLength(3);
    for (const error of refused) {
      expect(error).toBeInstanceOf(OpenAI.RateLimitError);
      expect(error.code).toBe('queue_full');
      expect(Number(error.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    expect(await s.client.chat.completions.create({ model, messages })).toBeDefined();
  });

  it('an idle server takes one request with more answers than it has places', async () => {
    s = await fakeServer({ slots: 1 }, { maxQueue: 0 });
    const made = await s.client.chat.completions.create({ model, messages, n: 5, temperature: 1 });
    expect(made.choices).toHaveLength(5);
  });
});

describe('the time limit', () => {
  it('is an error with a status, or the last event of a stream', async () => {
    s = await fakeServer({ delay: 5 }, { requestTimeout: 0.15 });
    const error = await s.client.chat.completions.create(body({})).catch((e) => e);
    expect(error).toMatchObject({ status: 504, code: 'request_timeout' });
    expect(error.headers.get('x-should-retry')).toBe('false');
    const stream = (await s.client.chat.completions.create(body({ stream: true }))) as object as AsyncIterable<unknown>;
    const seen: unknown[] = [];
    const late = await (async () => {
      for await (const chunk of stream) seen.push(chunk);
    })().catch((e) => e);
    expect(seen.length).toBeGreaterThan(1);
    expect(late).toMatchObject({ code: 'request_timeout' });
    await until(() => s.fake.live() === 0);
    expect((await get(s.server.port, '/metrics')).text).toContain('huacaya_requests_cut_total{reason="timeout"} 2');
  });
});

describe('a failure of the model', () => {
  it.each([0, 3])('after %s tokens says nothing of the inside', async (token) => {
    s = await fakeServer({ failAt: { token, error: new Error('secret: /root/weights') } });
    const whole = await s.client.chat.completions.create({ model, messages }).catch((e) => e);
    expect(whole).toMatchObject({ status: 500, code: 'internal_error' });
    expect(whole.message).not.toContain('secret');
    const streamed = await (async () => {
      for await (const _ of await s.client.chat.completions.create({ model, messages, stream: true }));
    })().catch((e) => e);
    expect(streamed).toMatchObject({ code: 'internal_error' });
    if (token === 0) expect(streamed).toMatchObject({ status: 500 });
    expect(s.errors.map((e) => (e as Error).message)).toEqual(['secret: /root/weights', 'secret: /root/weights']);
    s.fake.options.failAt = undefined;
    await s.client.chat.completions.create({ model, messages });
  });

  it('one of several answers ends the others', async () => {
    s = await fakeServer({ delay: 2 });
    s.fake.options.script = (_, { sampling }) => {
      if (sampling.seed === 12) throw new Error('broken');
      return 'a'.repeat(500);
    };
    const call = s.client.chat.completions.create({ model, messages, n: 3, temperature: 1, seed: 11 });
    await expect(call).rejects.toMatchObject({ status: 500 });
    expect(s.fake.live()).toBe(0);
  });
});

describe('the end', () => {
  it('waits for running answers and refuses new ones', async () => {
    s = await fakeServer({ delay: 3 });
    const running = s.client.chat.completions.create(body({ max_tokens: 60 }));
    await until(() => busy().running === 1);
    const drained = s.server.drain();
    const refused = await s.client.chat.completions.create({ model, messages }).catch((e) => e);
    expect(refused).toMatchObject({ status: 503, code: 'shutting_down' });
    const health = await get(s.server.port, '/healthz');
    expect([health.status, health.headers.connection, JSON.parse(health.text)]).toEqual([
      503,
      'close',
      { status: 'draining' },
    ]);
    expect((await running).usage!.completion_tokens).toBe(60);
    expect(await drained).toBe(0);
    await expect(statusOf(s.server.port, 'GET', '/healthz')).rejects.toThrow('ECONNREFUSED');
  });

  it('cuts what takes longer than it may', async () => {
    s = await fakeServer({ delay: 3 }, { drainTimeout: 0.1 });
    const whole = s.client.chat.completions.create(body({})).catch((e) => e);
    const stream = (await s.client.chat.completions.create(body({ stream: true }))) as object as AsyncIterable<unknown>;
    const reading = (async () => {
      for await (const _ of stream);
    })().catch((e) => e);
    await until(() => busy().running === 2);
    expect(await s.server.drain()).toBe(2);
    expect(await whole).toMatchObject({ status: 503, code: 'shutting_down' });
    expect(await reading).toMatchObject({ code: 'shutting_down' });
    expect(s.fake.live()).toBe(0);
  });
});

it('many requests leave nothing behind', async () => {
  s = await fakeServer();
  const warnings: Error[] = [];
  const onWarning = (w: Error) => warnings.push(w);
  process.on('warning', onWarning);
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        if (i % 3 === 0) await s.post('/v1/chat/completions', { model, messages, temperature: i % 2, n: 1 });
        else if (i % 3 === 1) await s.post('/v1/chat/completions', { model, messages, stream: true });
        else await s.post('/v1/completions', { prompt: 1 });
      }),
    );
  }
  await new Promise((r) => setTimeout(r, 50));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
  expect(s.records).toHaveLength(200);
  expect(busy()).toMatchObject({ running: 0, waiting: 0 });
  // Servers and sockets that are at rest, and no timers of ours.
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  await s.close();
  await until(() => process.getActiveResourcesInfo().filter((n) => n.startsWith('TCPSERVER')).length === 0);
  expect(timers).toBeLessThan(15);
});
