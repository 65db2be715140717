// One request: errors in plain words, encodings undone, proxies, and what refusals mean.
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { HuacayaError } from '../../../src/base/index.ts';
import { statusError } from '../../../src/hub/hubStatus.ts';
import { explain, unreachable } from '../../../src/hub/networkErrors.ts';
import { Patience } from '../../../src/hub/patience.ts';
import { proxyFor } from '../../../src/hub/proxy.ts';
import { readJson, request } from '../../../src/hub/request.ts';
import { retryAfterMs } from '../../../src/hub/retryAfter.ts';
import { GATED, REPO, startTestHub, startTestProxy } from './testHub.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('request', () => {
  it.each(['gzip', 'deflate', 'br'])('undoes %s, which nobody asked for', async (encoding) => {
    const { deflateSync, brotliCompressSync } = await import('node:zlib');
    const pack = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }[encoding]!;
    const seen: (string | undefined)[] = [];
    const host = await listen(
      createServer((req, res) => {
        seen.push(req.headers['accept-encoding'] as string);
        res.writeHead(200, { 'content-encoding': encoding, connection: 'close' }).end(pack('{"a":1}'));
      }),
    );
    expect(await readJson(await request(`http://${host}/`), 'x')).toEqual({ a: 1 });
    expect(seen).toEqual(['identity']);
  });

  it('says that a compressed answer broke off', async () => {
    const host = await listen(
      createServer((_, res) => {
        const bytes = gzipSync('{"a":1}'.repeat(100));
        res
          .writeHead(200, { 'content-encoding': 'gzip', connection: 'close' })
          .end(bytes.subarray(0, bytes.length - 9));
      }),
    );
    await expect(readJson(await request(`http://${host}/`), 'x')).rejects.toMatchObject({ code: 'HUB_LOST' });
  });

  it('says in words what is wrong, and keeps the code', async () => {
    const words = async (url: string) => (await request(url).catch((error) => error)) as HuacayaError;
    expect(await words('http://no-such-host.invalid/')).toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: expect.stringMatching(/no such host name, ENOTFOUND|name service does not answer, EAI_AGAIN/),
    });
    const silent = await listen(createTcpServer((socket) => socket.destroy()));
    expect(await words(`http://${silent}/x?secret`)).toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: expect.stringMatching(/the other side c.* the connection/),
    });
    // A server without TLS behind an https address.
    const plain = await listen(createTcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const error = await words(`https://${plain}/x?secret`);
    expect(error).toMatchObject({ code: 'HUB_CERTIFICATE', hint: expect.stringContaining('NODE_EXTRA_CA_CERTS') });
    expect(error.message).not.toContain('secret');
  });

  it.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', /authority that this machine does not know/],
    ['CERT_HAS_EXPIRED', /has expired/],
  ])('knows %s', (code, words) => {
    const failed = new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) });
    const signals = { inner: new AbortController().signal, outer: undefined };
    expect(explain(failed, new URL('https://hub.test/a?sig=1'), signals, unreachable)).toMatchObject({
      code: 'HUB_CERTIFICATE',
      message: expect.stringMatching(words),
    });
  });

  it('takes a part of an answer without waiting for the rest', async () => {
    const hub = await startTestHub({ 'model.safetensors': new Uint8Array(5 << 20) });
    open.push(hub);
    const answer = await request(`${hub.endpoint}/${REPO}/resolve/main/model.safetensors`);
    expect(answer).toMatchObject({ status: 200, elsewhere: true });
    for await (const piece of answer.chunks()) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
  });
});

describe('a proxy', () => {
  const settings = { http: 'http://p:1', https: 'q:2', noProxy: 'localhost, .example.com,10.0.0.5:8080 ::1' };
  it.each([
    ['http://hub.test/', 'http://p:1'],
    ['https://hub.test/', 'http://q:2'],
    ['https://example.com/', undefined],
    ['https://a.example.com:444/', undefined],
    ['https://notexample.com/', 'http://q:2'],
    ['http://10.0.0.5:8080/', undefined],
    ['http://10.0.0.5/', 'http://p:1'],
    ['http://LOCALHOST:7/', undefined],
    ['http://[::1]:7/', undefined],
  ])('is chosen for %s: %s', (url, proxy) => {
    expect(proxyFor(new URL(url), settings)).toBe(proxy);
    expect(proxyFor(new URL(url), { ...settings, noProxy: '*' })).toBeUndefined();
    expect(proxyFor(new URL(url), undefined)).toBeUndefined();
  });

  it('is named when it does not answer, without its password', async () => {
    const proxy = { http: 'http://me:secret@127.0.0.1:9', https: 'http://me:secret@127.0.0.1:9' };
    for (const scheme of ['http', 'https']) {
      const error = await request(`${scheme}://hub.test/x`, { proxy }).catch((e) => e);
      expect(error).toMatchObject({
        code: 'HUB_UNREACHABLE',
        message: expect.stringMatching(
          /hub\.test could not be reached \(through the proxy 127\.0\.0\.1:9: .*ECONNREFUSED/,
        ),
      });
      expect(error.message).not.toContain('secret');
    }
  });

  it('may be a SOCKS proxy that looks names up itself', () => {
    expect(proxyFor(new URL('https://a/'), { https: 'socks5h://p:1080' })).toBe('socks5://p:1080');
  });

  it('must be an address; its password is not repeated', () => {
    expect(() => proxyFor(new URL('https://a/'), { https: 'ftp://me:secret@p' })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.not.stringContaining('secret') }),
    );
  });

  it('carries hub traffic, with name and password, except to hosts that are excluded', async () => {
    const hub = await startTestHub({ 'model.safetensors': new Uint8Array(1000) });
    const proxy = await startTestProxy('me:secret');
    open.push(hub, proxy);
    const url = `${hub.endpoint}/${REPO}/resolve/main/model.safetensors`;
    const read = async (noProxy = '') => {
      const answer = await request(url, { proxy: { http: proxy.url, noProxy }, token: 'hf_x' });
      let length = 0;
      for await (const piece of answer.chunks()) length += piece.length;
      return length;
    };
    expect(await read()).toBe(1000);
    expect(proxy.seen).toEqual([`GET ${url}`, expect.stringMatching(/^GET http:.*\/signed\/model/)]);
    expect(hub.requests.map((r) => r.authorization)).toEqual(['Bearer hf_x', undefined]);
    expect(await read('127.0.0.1')).toBe(1000);
    expect(proxy.seen).toHaveLength(2);
    const stranger = proxy.url.replace('me:secret@', '');
    for (const scheme of ['http', 'https'] as const) {
      const away = request(`${scheme}://hub.test/`, { proxy: { [scheme]: stranger } });
      await expect(away).rejects.toMatchObject({ code: 'HUB_PROXY', message: expect.stringContaining('407') });
    }
    expect(proxy.seen.at(-1)).toBe('CONNECT hub.test:443');
  });
});

describe('statusError', () => {
  const error = (status: number, headers: Record<string, string>, hasToken: boolean) => {
    const reply = { status, headers: new Headers(headers), elsewhere: false, asked: 'https://mirror.test/api' };
    return statusError(reply, REPO, REPO, hasToken);
  };
  const gated = (message: string) => ({ 'x-error-code': 'GatedRepo', 'x-error-message': message });

  it('says three different things about gated repositories', () => {
    const page = `https://mirror.test/${REPO}`;
    const loggedOut = error(401, gated(GATED.loggedOut), false);
    expect(loggedOut).toMatchObject({ code: 'HUB_GATED', message: expect.stringContaining('not logged in') });
    expect(loggedOut.hint).toContain(`Accept the terms at ${page}`);
    expect(loggedOut.hint).toContain('HF_TOKEN');
    const notAccepted = error(403, gated(GATED.notAccepted), true);
    expect(notAccepted).toMatchObject({ code: 'HUB_GATED', message: expect.stringContaining('has not accepted') });
    expect(notAccepted.hint).toContain(page);
    const pending = error(403, gated(GATED.pending), true);
    expect(pending).toMatchObject({ code: 'HUB_GATED', message: expect.stringContaining('waits for its owners') });
    expect(pending.hint).toContain('wait');
  });

  it('tells the other refusals apart', () => {
    expect(error(401, { 'x-error-message': 'Invalid credentials in Authorization header' }, true).message).toContain(
      'does not know this token',
    );
    expect(error(404, { 'x-error-code': 'RepoNotFound' }, true)).toMatchObject({ code: 'HUB_NOT_FOUND' });
    expect(error(404, { 'x-error-code': 'RevisionNotFound' }, true).message).toContain('revision');
    expect(error(404, { 'x-error-code': 'EntryNotFound' }, true).message).toContain('file');
    expect(error(503, { 'retry-after': '7' }, false)).toMatchObject({ code: 'HUB_BUSY', retryAfterMs: 7000 });
  });
});

describe('patience', () => {
  it('reads Retry-After in seconds and as a date, and the limit that the hub sends', () => {
    const read = (headers: Record<string, string>) => retryAfterMs(new Headers(headers), Date.UTC(2026, 0, 1));
    expect(read({ 'retry-after': '12' })).toBe(12_000);
    expect(read({ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' })).toBe(30_000);
    expect(read({ 'retry-after': 'Wed, 31 Dec 2025 00:00:30 GMT' })).toBe(0);
    expect(read({ 'retry-after': 'soon' })).toBeUndefined();
    expect(read({ ratelimit: '"resolvers";r=0;t=55' })).toBe(55_000);
    expect(read({ ratelimit: '"resolvers";r=10;t=55' })).toBeUndefined();
  });

  it('waits longer each time, at least as long as it is asked to, and starts anew after progress', () => {
    const patience = new Patience([1000, 2000], () => 0.5);
    const busy = (seconds?: number) =>
      statusError(
        { status: 429, headers: new Headers(seconds ? { 'retry-after': `${seconds}` } : {}), elsewhere: false },
        'r',
        'r',
        false,
      );
    expect(patience.failed(busy(), 0, 10)).toEqual({ waitMs: 1000, first: true });
    // Other connections that failed in the same moment.
    expect(patience.failed(busy(), 5, 20)).toEqual({ waitMs: 990, first: false });
    expect(patience.failed(busy(30), 2000, 2000)).toEqual({ waitMs: 30_000, first: true });
    patience.progress(1 << 20);
    expect(patience.failed(busy(), 50_000, 50_000)).toMatchObject({ waitMs: 1000 });
    expect(patience.failed(busy(), 60_000, 60_000)).toMatchObject({ waitMs: 2000 });
    const last = busy();
    expect(() => patience.failed(last, 90_000, 90_000)).toThrow(last);
    expect(() => new Patience([1]).failed(busy(3600), 0)).toThrow(HuacayaError);
    expect(new Patience([1000], () => 0).failed(busy(), 0).waitMs).toBe(750);
    expect(new Patience([1000], () => 1).failed(busy(), 0).waitMs).toBe(1250);
  });
});
