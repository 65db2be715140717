// Nobody gets past the gate: no key, a wrong host, a page of another origin, and every odd way to write a path.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKeyCheck } from '../../../src/serve/keyCheck.ts';
import { exchangeRaw, type FakeServer, fakeServer, get, statusOf } from '../../helpers/fakeServer.ts';

const apiKey = 'a-key-of-some-length';
let s: FakeServer;
let port: number;
beforeAll(async () => {
  s = await fakeServer({}, { apiKey, allowOrigins: ['https://tools.example'], allowAdapterChanges: true });
  port = s.server.port;
});
afterAll(() => s.close());
const bearer = { authorization: `Bearer ${apiKey}` };

const routes = [
  '/v1/models',
  '/v1/models/fake-base',
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/huacaya/instruct',
  '/v1/huacaya/info',
  '/v1/huacaya/adapters',
  '/v1/huacaya/adapters/x',
  '/metrics',
  '/openapi.json',
];

const twists: ((path: string) => string)[] = [
  (p) => p,
  (p) => `/${p}`,
  (p) => `${p}/`,
  (p) => `${p}//`,
  (p) => p.toUpperCase(),
  (p) => p.replace('v1', 'V1'),
  (p) => `/.${p}`,
  (p) => `/healthz/..${p}`,
  (p) => `/healthz/%2e%2e${p}`,
  (p) => `/%2e${p}`,
  (p) => `${p}/.`,
  (p) => `${p}/..`,
  (p) => `${p}?healthz`,
  (p) => `${p}?/healthz`,
  (p) => `${p};/healthz`,
  (p) => `${p}%00`,
  (p) => `${p}%20`,
  (p) => `${p}%2f`,
  (p) => p.replaceAll('/', '%2f'),
  (p) => p.replaceAll('/', '%2F'),
  (p) => `/${p.slice(1).replaceAll('/', '%5c')}`,
  (p) => p.replaceAll('/', '\\'),
  (p) => p.replace('o', '%6f'),
  (p) => p.replace('m', '%6D'),
  (p) => `http://127.0.0.1${p}`,
  (p) => `http://evil.example${p}`,
  (p) => `https://127.0.0.1:1/healthz/..${p}`,
  (p) => `//evil.example${p}`,
  (p) => `/healthz${p}`,
  (p) => `${p}#/healthz`,
  (p) => `/index.html/..${p}`,
  (p) => p.slice(1),
];

describe('without a key', () => {
  it.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])(
    '%s of every route, however it is written, gives 401',
    async (method) => {
      const targets = [...routes.flatMap((route) => twists.map((twist) => twist(route))), '*', '/favicon.ico', '/x'];
      const got = await Promise.all(targets.map(async (t) => [t, await statusOf(port, method, t)] as const));
      // What is not HTTP at all never reaches us: node answers 400.
      const wrong = got.filter(([, status]) => status !== 401 && status !== 400);
      expect(wrong).toEqual([]);
      const unread = got.filter(([, status]) => status === 400).map(([t]) => t);
      for (const target of unread) expect(target).toMatch(/^[^/h*]|\\|^http/);
    },
  );

  it.each([
    'Bearer',
    'Bearer ',
    'Bearer wrong',
    `Bearer ${apiKey}x`,
    `Bearer ${apiKey.slice(1)}`,
    `Bearer ${apiKey.toUpperCase()}`,
    `Basic ${apiKey}`,
    apiKey,
    `Bearer ${apiKey} ${apiKey}`,
  ])('a wrong header: %s', async (authorization) => {
    const { status, headers, text } = await get(port, '/v1/models', { authorization });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer');
    expect(JSON.parse(text).error).toMatchObject({ code: 'invalid_api_key', type: 'invalid_request_error' });
    expect(text).not.toContain(apiKey.slice(0, 8));
  });

  it('there is only whether it lives, and the page', async () => {
    expect(await statusOf(port, 'GET', '/healthz')).toBe(200);
    expect(await statusOf(port, 'HEAD', '/healthz')).toBe(200);
    expect(await statusOf(port, 'GET', '/')).toBe(200);
    expect(await statusOf(port, 'POST', '/healthz')).toBe(401);
    expect(await statusOf(port, 'POST', '/')).toBe(401);
  });

  it('a body is not even asked for', async () => {
    const answer = await exchangeRaw(
      port,
      'POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n' +
        'content-length: 10\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401/);
    const odd = 'GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: miracles\r\nconnection: close\r\n\r\n';
    expect(await exchangeRaw(port, odd)).toMatch(/^HTTP\/1\.1 401/);
  });
});

describe('with the key', () => {
  it('routes are there under their own path only', async () => {
    for (const path of ['/v1/models', '/v1/models/fake-base', '/v1/huacaya/info', '/metrics', '/openapi.json']) {
      expect([path, await statusOf(port, 'GET', path, bearer)]).toEqual([path, 200]);
      expect([path, await statusOf(port, 'HEAD', path, bearer)]).toEqual([path, 200]);
    }
    for (const path of ['//v1/models', '/V1/models', '/v1/models/', '/v1/../v1/models', '/v1%2fmodels', '/nothing']) {
      expect([path, await statusOf(port, 'GET', path, bearer)]).toEqual([path, 404]);
    }
    expect(await statusOf(port, 'GET', 'http://127.0.0.1/v1/models', bearer)).toBe(400);
    expect(await statusOf(port, 'OPTIONS', '*', bearer)).toBe(400);
    expect(await statusOf(port, 'GET', '/v1/models/%zz', bearer)).toBe(400);
    expect(await statusOf(port, 'GET', '/v1/models?x=1', bearer)).toBe(200);
    expect(await statusOf(port, 'GET', '/v1/models', { authorization: `bearer  ${apiKey} ` })).toBe(200);
  });

  it('other methods are told what there is', async () => {
    const { status, headers } = await get(port, '/v1/chat/completions', bearer);
    expect([status, headers.allow]).toEqual([405, 'POST']);
    expect((await get(port, '/v1/models', bearer, 'DELETE')).headers.allow).toBe('GET, HEAD');
    expect(await statusOf(port, 'TRACE', '/v1/models', bearer)).toBe(405);
  });
});

describe('hosts', () => {
  it.each(['localhost', 'LOCALHOST:8000', '127.0.0.1:1', '[::1]', '[::1]:8000'])('%s is this machine', async (host) => {
    expect(await statusOf(port, 'GET', '/v1/models', { ...bearer, host })).toBe(200);
  });

  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost:8000:9',
    'a@localhost',
    '0.0.0.0',
    '[::1',
    'localhost/',
    '192.168.1.1',
    '',
    'localhost, evil.example',
  ])('%j is not', async (host) => {
    for (const path of ['/v1/models', '/healthz', '/']) {
      expect(await statusOf(port, 'GET', path, { ...bearer, host })).toBe(403);
    }
  });

  it('two of them, or none, are none', async () => {
    const lines = `authorization: Bearer ${apiKey}\r\nconnection: close\r\n\r\n`;
    const two = await exchangeRaw(port, `GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n${lines}`);
    expect(two).toMatch(/^HTTP\/1\.1 40[03]/);
    expect(await exchangeRaw(port, `GET /healthz HTTP/1.0\r\n${lines}`)).toMatch(/^HTTP\/1\.1 403/);
    expect(await exchangeRaw(port, `GET /healthz HTTP/1.1\r\n${lines}`)).toMatch(/^HTTP\/1\.1 400/);
  });

  it('more can be allowed', async () => {
    const other = await fakeServer({}, { allowHosts: ['Box.Local', '::2'] });
    expect(await statusOf(other.server.port, 'GET', '/healthz', { host: 'box.local:80' })).toBe(200);
    expect(await statusOf(other.server.port, 'GET', '/healthz', { host: '[::2]' })).toBe(200);
    expect(await statusOf(other.server.port, 'GET', '/healthz', { host: 'box.local.evil' })).toBe(403);
    await other.close();
  });
});

describe('origins', () => {
  it.each(['http://127.0.0.1:1234', 'https://127.0.0.1:1234'])('%s is its own page', async (origin) => {
    const { status, headers } = await get(port, '/v1/models', { ...bearer, host: '127.0.0.1:1234', origin });
    expect(status).toBe(200);
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
  });

  it.each([
    'null',
    'http://evil.example',
    'http://127.0.0.1:9',
    'https://tools.example.evil',
    'https://tools.example:1',
    'http://tools.example',
    'file://',
    '',
  ])('%j may not call', async (origin) => {
    for (const path of ['/v1/models', '/healthz', '/']) {
      const { status, headers } = await get(port, path, { ...bearer, host: '127.0.0.1:1', origin });
      expect(status).toBe(403);
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
    const preflight = { origin, 'access-control-request-method': 'POST', host: '127.0.0.1' };
    expect(await statusOf(port, 'OPTIONS', '/v1/models', preflight)).toBe(403);
  });

  it('an allowed page may ask and read, still with the key', async () => {
    const origin = 'https://tools.example';
    const asked = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, x-stainless-os',
    };
    const preflight = await get(port, '/v1/chat/completions', asked, 'OPTIONS');
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': 'authorization, x-stainless-os',
      vary: 'origin',
    });
    expect((await get(port, '/v1/models', { origin })).status).toBe(401);
    const { status, headers } = await get(port, '/v1/models', { ...bearer, origin });
    expect([status, headers['access-control-allow-origin']]).toEqual([200, origin]);
    // Without the question of a browser OPTIONS is a method like any other.
    expect(await statusOf(port, 'OPTIONS', '/v1/models', { origin })).toBe(401);
  });
});

it('every answer says what browsers must not do with it', async () => {
  for (const [path, headers] of [
    ['/v1/models', bearer],
    ['/v1/models', {}],
    ['/healthz', {}],
    ['/', {}],
  ] as const) {
    expect((await get(port, path, headers)).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-request-id': expect.stringMatching(/^req_[0-9a-f]{32}$/),
    });
  }
  expect((await get(port, '/v1/models', bearer)).headers['cache-control']).toBe('no-store');
});

describe('the key check', () => {
  it('knows the key, and lets everybody in where there is none', () => {
    const check = createKeyCheck('the-real-key');
    expect(check('Bearer the-real-key')).toBe(true);
    for (const wrong of [undefined, '', 'Bearer', 'Bearer the-real-ke', 'Bearer the-real-keyy', 'the-real-key']) {
      expect(check(wrong)).toBe(false);
    }
    expect(createKeyCheck(undefined)(undefined)).toBe(true);
  });
});
