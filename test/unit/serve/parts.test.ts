// The small parts: places, figures, events on the wire, bodies, settings.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLoopback } from '../../../src/serve/address.ts';
import { createAdmission } from '../../../src/serve/admission.ts';
import { openApiDocument } from '../../../src/serve/index.ts';
import { createMetrics } from '../../../src/serve/metrics.ts';
import { checkSettings, type ServerOptions } from '../../../src/serve/settings.ts';
import {
  exchangeRaw,
  type FakeServer,
  fakeServer,
  get,
  openStream,
  statusOf,
  until,
} from '../../helpers/fakeServer.ts';

describe('places', () => {
  it('are slots and queue, are given back once, and name a time to wait', () => {
    let now = 0;
    const admission = createAdmission({ slots: 2, queue: 1, now: () => now });
    const leaves = [admission.enter(2), admission.enter(1)];
    const refusal = () => {
      try {
        admission.enter(1);
      } catch (e) {
        return e as { status: number; headers: Record<string, string> };
      }
      throw new Error('was let in');
    };
    expect(refusal()).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
    now = 20_000;
    leaves[0]!();
    leaves[0]!();
    expect(admission.busy).toBe(1);
    admission.enter(2);
    // Requests that take longer make the wait longer.
    expect(Number(refusal().headers['retry-after'])).toBeGreaterThan(5);
  });
});

describe('figures', () => {
  it('are written as Prometheus reads them', () => {
    const metrics = createMetrics();
    const counter = metrics.counter('a_total', 'Some.');
    counter.add(1, { path: 'x"\\\n' });
    counter.add(2, { path: 'x"\\\n' });
    const histogram = metrics.histogram('b_seconds', 'Others.', [1, 5]);
    for (const value of [0.5, 1, 3, 9]) histogram.observe(value, { r: 'q' });
    metrics.read('c', 'Now.', 'gauge', () => 7, { v: '1' });
    metrics.read('d', 'Not known.', 'gauge', () => undefined);
    expect(metrics.text()).toBe(
      [
        '# HELP a_total Some.',
        '# TYPE a_total counter',
        'a_total{path="x\\"\\\\\\n"} 3',
        '# HELP b_seconds Others.',
        '# TYPE b_seconds histogram',
        'b_seconds_bucket{r="q",le="1"} 2',
        'b_seconds_bucket{r="q",le="5"} 3',
        'b_seconds_bucket{r="q",le="+Inf"} 4',
        'b_seconds_sum{r="q"} 13.5',
        'b_seconds_count{r="q"} 4',
        '# HELP c Now.',
        '# TYPE c gauge',
        'c{v="1"} 7',
        '# HELP d Not known.',
        '# TYPE d gauge',
        '',
      ].join('\n'),
    );
  });

  it('count what the server did', async () => {
    const s = await fakeServer();
    const made = await s.client.chat.completions.create({
      model: 'fake-base',
      messages: [{ role: 'user', content: 'a' }],
    });
    await s.post('/v1/chat/completions', {});
    for (let i = 0; i < 50; i++) await get(s.server.port, `/odd/${i}`);
    await until(() => s.records.length === 52);
    const { text, headers } = await get(s.server.port, '/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toContain('huacaya_requests_total{route="/v1/chat/completions",status="200"} 1');
    expect(text).toContain('huacaya_requests_total{route="/v1/chat/completions",status="400"} 1');
    // Paths of strangers are not labels.
    expect(text).toContain('huacaya_requests_total{route="none",status="404"} 50');
    expect(text).not.toContain('odd');
    expect(text).toContain(`huacaya_generated_tokens_total ${made.usage!.completion_tokens}\n`);
    expect(text).toContain(`huacaya_prompt_tokens_total ${made.usage!.prompt_tokens}\n`);
    expect(text).toContain('huacaya_time_to_first_token_seconds_count 1');
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [\d.e+-]+)$/);
    }
    await s.close();
  });
});

describe('events on the wire', () => {
  it('are lines of data with blank lines between, and a comment while nothing comes', async () => {
    const s = await fakeServer({ script: () => 'one\n\ntwo\rdata: three' });
    const body = { stream: true, messages: [{ role: 'user', content: 'a' }] };
    const socket = await openStream(s.server.port, '/v1/chat/completions', body);
    let wire = '';
    socket.setEncoding('utf8').on('data', (text) => {
      wire += text;
    });
    await until(() => wire.includes('0\r\n\r\n'));
    const head = wire.slice(0, wire.indexOf('\r\n\r\n'));
    expect(head).toMatch(/content-type: text\/event-stream; charset=utf-8/i);
    expect(head).toMatch(/cache-control: no-store, no-transform/i);
    const events = wire
      .slice(head.length + 4)
      .split('\r\n')
      .filter((_, i) => i % 2 === 1)
      .join('');
    expect(events).toMatch(/^(data: \{[^\n\r]*\}\n\n)+data: \[DONE\]\n\n$/);
    socket.destroy();
    await s.close();
  });
});

describe('bodies', () => {
  let s: FakeServer;
  beforeAll(async () => {
    s = await fakeServer({}, { maxBody: 4096 });
  });
  afterAll(() => s.close());
  const path = '/v1/completions';

  it('must be JSON, by type and content', async () => {
    const ok = JSON.stringify({ prompt: 'a' });
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"']) {
      expect((await s.post(path, ok, { 'content-type': type })).status).toBe(200);
    }
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=latin1',
      'json',
      '',
    ]) {
      expect((await s.post(path, ok, { 'content-type': type })).status).toBe(415);
    }
    expect((await s.post(path, ok, { 'content-encoding': 'gzip' })).status).toBe(415);
    const nested = `{"prompt":${'['.repeat(1000)}${']'.repeat(1000)}}`;
    for (const body of ['', '{', 'null', '[]', '"a"', '1', nested, '{"prompt":"a"}x']) {
      expect([body, (await s.post(path, body)).body.error.code]).toEqual([body, 'invalid_json']);
    }
    const latin = Buffer.from('{"prompt":"\xe9"}', 'latin1').toString('latin1');
    const raw = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${latin.length}\r\n\r\n${latin}`;
    expect(await exchangeRaw(s.server.port, raw)).toContain('not UTF-8');
  });

  it('have a limit, said before or found on the way', async () => {
    const large = JSON.stringify({ prompt: 'a'.repeat(5000) });
    expect(await s.post(path, large)).toMatchObject({ status: 413, body: { error: { code: 'body_too_large' } } });
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n`;
    const chunk = `400\r\n${'a'.repeat(1024)}\r\n`;
    const answer = await exchangeRaw(
      s.server.port,
      `${head}transfer-encoding: chunked\r\n\r\n${chunk.repeat(8)}0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413/);
    // A client that waits for "100 Continue" never sends what is refused.
    const waiting = `${head}expect: 100-continue\r\ncontent-length: `;
    expect(await exchangeRaw(s.server.port, `${waiting}5000\r\n\r\n`)).toMatch(/^HTTP\/1\.1 413/);
    const small = '{"prompt":"a"}';
    const allowed = await exchangeRaw(s.server.port, `${waiting}${small.length}\r\n\r\n${small}`);
    expect(allowed).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
  });

  it('__proto__ is a field like any other unknown one', async () => {
    const answer = await s.post(path, '{"prompt":"a","__proto__":{"stream":true}}');
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'unknown_parameter' } } });
  });
});

describe('settings', () => {
  const check = (options: ServerOptions) => () => checkSettings(options);
  it('an address that others reach needs a key', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.2', 'box.local', '128.0.0.1', '::ffff:10.0.0.1']) {
      expect(check({ host })).toThrow(/no API key/);
      expect(check({ host, apiKey: 'long-enough' })).not.toThrow();
    }
    for (const host of ['127.0.0.1', '127.8.0.1', '::1', '[::1]', 'localhost']) expect(check({ host })).not.toThrow();
    expect(isLoopback('127.evil.example')).toBe(false);
    expect(isLoopback('::ffff:127.0.0.1')).toBe(true);
  });

  it('values out of range are refused with what is allowed', () => {
    expect(check({ port: 70_000 })).toThrow('port is 70000; it must be a whole number from 0 to 65535');
    expect(check({ maxQueue: -1 })).toThrow('max-queue');
    expect(check({ maxBody: 1.5 })).toThrow('max-body');
    expect(check({ maxNewTokens: 0 })).toThrow('max-new-tokens');
    expect(check({ requestTimeout: Number.NaN })).toThrow('request-timeout');
    expect(check({ drainTimeout: 1e9 })).toThrow('drain-timeout');
    expect(check({ apiKey: 'short' })).toThrow('8 to 512');
    expect(check({ apiKey: 'with a space' })).toThrow('8 to 512');
    expect(check({ allowOrigins: ['tools.example'] })).toThrow('is no origin');
    expect(check({ allowOrigins: ['https://tools.example/'] })).toThrow('is no origin');
    expect(check({ allowOrigins: ['*'] })).toThrow('is no origin');
    expect(check({ allowHosts: ['a b'] })).toThrow('is no host name');
    expect(check({ allowHosts: ['a:80'] })).toThrow('is no host name');
    expect(check({ port: undefined })().port).toBe(8000);
  });

  it('a port that is taken is said', async () => {
    const s = await fakeServer();
    await expect(fakeServer({}, { port: s.server.port })).rejects.toMatchObject({ code: 'PORT_TAKEN', exitCode: 2 });
    await s.close();
  });
});

describe('the limit of tokens', () => {
  it('is the default and the most', async () => {
    const s = await fakeServer({}, { maxNewTokens: 5 });
    const ask = (more: object) =>
      s.post('/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }], ...more });
    expect((await ask({})).body.usage.completion_tokens).toBe(5);
    expect((await ask({ max_tokens: 6 })).body.error).toMatchObject({ param: 'max_tokens', code: 'invalid_value' });
    expect((await get(s.server.port, '/v1/huacaya/info')).text).toContain('"max_new_tokens":5');
    await s.close();
  });
});

describe('adapters', () => {
  it('come and go where it is allowed', async () => {
    const s = await fakeServer({}, { allowAdapterChanges: true });
    const add = (body: object) => s.post('/v1/huacaya/adapters', body);
    expect(await add({ id: 'a', folder: 'good/one' })).toMatchObject({
      status: 201,
      body: { id: 'a', kind: 'adapter', template: 'alpaca_short', remembers: false, source: 'good/one' },
    });
    expect(await add({ id: 'a', folder: 'good/one' })).toMatchObject({
      status: 409,
      body: { error: { code: 'name_taken' } },
    });
    expect(await add({ id: 'b', folder: 'bad' })).toMatchObject({
      status: 400,
      body: { error: { code: 'adapter_not_found' } },
    });
    expect(await add({ id: '../b', folder: 'good' })).toMatchObject({ status: 400 });
    expect((await s.post('/v1/completions', { model: 'a', prompt: 'x' })).status).toBe(200);
    expect(await statusOf(s.server.port, 'DELETE', '/v1/huacaya/adapters/a')).toBe(200);
    expect(await statusOf(s.server.port, 'DELETE', '/v1/huacaya/adapters/a')).toBe(404);
    expect(await statusOf(s.server.port, 'DELETE', '/v1/huacaya/adapters/fake-base')).toBe(400);
    expect((await s.post('/v1/completions', { model: 'a', prompt: 'x' })).status).toBe(404);
    await s.close();
  });

  it('do not where it is not', async () => {
    const s = await fakeServer();
    await s.fake.assistant.addAdapter('a', 'good/secret-folder');
    expect((await s.post('/v1/huacaya/adapters', { id: 'b', folder: 'good' })).status).toBe(403);
    expect(await statusOf(s.server.port, 'DELETE', '/v1/huacaya/adapters/a')).toBe(403);
    expect((await get(s.server.port, '/v1/huacaya/info')).text).not.toContain('secret-folder');
    await s.close();
  });
});

describe('the page', () => {
  const folder = mkdtempSync(join(tmpdir(), 'huacaya-web-'));
  let s: FakeServer;
  beforeAll(async () => {
    const web = join(folder, 'web');
    mkdirSync(join(web, 'assets'), { recursive: true });
    writeFileSync(join(web, 'index.html'), '<!doctype html><title>Huacaya</title>'.repeat(20));
    writeFileSync(join(web, 'assets', 'index-B1zJ9dQx.js'), 'export const a = 1;\n'.repeat(50));
    writeFileSync(join(web, 'secret.map'), '{}');
    writeFileSync(join(folder, 'secret.txt'), 'secret');
    symlinkSync(join(folder, 'secret.txt'), join(web, 'link.txt'));
    s = await fakeServer({}, { webFolder: web, apiKey: 'some-long-key' });
  });
  afterAll(async () => {
    await s.close();
    rmSync(folder, { recursive: true });
  });

  it('is served with a strict policy, packed, and known again', async () => {
    const page = await get(s.server.port, '/');
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
    const again = await get(s.server.port, '/', { 'if-none-match': page.headers.etag! });
    expect([again.status, again.text]).toEqual([304, '']);
    const script = await get(s.server.port, '/assets/index-B1zJ9dQx.js');
    expect(script.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    const head = await get(s.server.port, '/', {}, 'HEAD');
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, String(page.text.length), '']);
    const packed = await fetch(`${s.url}/assets/index-B1zJ9dQx.js`);
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(await packed.text()).toBe(script.text);
    const refused = await get(s.server.port, '/', { 'accept-encoding': 'br, gzip;q=0' });
    expect(refused.headers['content-encoding']).toBeUndefined();
  });

  it.each([
    '/secret.txt',
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/link.txt',
    '/secret.map',
    '/index.html',
    '/assets',
    '/assets/',
    '//',
    '/.',
    '/..\\secret.txt',
  ])('%s is not there', async (path) => {
    expect([401, 404]).toContain(await statusOf(s.server.port, 'GET', path));
    expect(await statusOf(s.server.port, 'GET', path, { authorization: 'Bearer some-long-key' })).toBe(404);
  });

  it('says how to build it where it is not', async () => {
    const other = await fakeServer();
    const page = await get(other.server.port, '/');
    expect(page.headers['content-type']).toMatch(/^text\/plain/);
    expect(page.text).toContain('npm run build');
    await other.close();
  });
});

describe('the OpenAPI document', () => {
  const document = openApiDocument();
  it('names every route, and refers only to what is in it', async () => {
    const s = await fakeServer({}, { allowAdapterChanges: true });
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        const status = await statusOf(s.server.port, method.toUpperCase(), path.replace('{id}', 'fake-base'));
        // Bodies are missing: that the route is there is enough.
        expect([path, method, [200, 400, 415].includes(status)]).toEqual([path, method, true]);
      }
    }
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map((m) => m[1]!);
    expect(refs.length).toBeGreaterThan(20);
    for (const name of refs) expect(Object.keys(document.components.schemas)).toContain(name);
    expect(JSON.stringify(document)).not.toMatch(/"\$ref":"#\/(\$defs|definitions)/);
    expect(JSON.parse((await get(s.server.port, '/openapi.json')).text)).toEqual(JSON.parse(JSON.stringify(document)));
    await s.close();
  });

  it('has the fields that are checked', () => {
    const chat = document.components.schemas.ChatCompletionRequest as {
      properties: Record<string, unknown>;
      required: string[];
      additionalProperties: boolean;
    };
    expect(chat).toMatchObject({ required: ['messages'], additionalProperties: false });
    for (const name of ['temperature', 'top_k', 'min_p', 'tools', 'response_format', 'logit_bias', 'stream_options']) {
      expect(chat.properties[name]).toBeDefined();
    }
  });
});
