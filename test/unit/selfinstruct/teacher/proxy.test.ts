// Behind a proxy: what goes through it, and what does not.
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { patientFetch } from '../../../../src/selfinstruct/teacher/patientFetch.ts';
import { ask, server, setUp } from './helpers.ts';

it('asks through the proxy; this machine and what is excluded are asked directly', async () => {
  const one = await server();
  const port = new URL(one.url).port;
  const tunnels: [string | undefined, string | undefined][] = [];
  const proxy = createServer().on('connect', (request, client) => {
    tunnels.push([request.url, request.headers['proxy-authorization']]);
    const target = connect(Number(port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    for (const socket of [client, target]) socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const http = `http://me:word@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const { teacher } = await setUp([{ url: `http://teacher.example:${port}/v1` }], { proxy: { http } });
    expect((await teacher.ask(ask('a'))).text).not.toBe('');
    expect(tunnels).toEqual([[`teacher.example:${port}`, `Basic ${Buffer.from('me:word').toString('base64')}`]]);
    const local = await setUp([{ url: one.url }], { proxy: { http } });
    await local.teacher.ask(ask('b'));
    expect(tunnels).toHaveLength(1);
  } finally {
    proxy.close();
    proxy.closeAllConnections();
  }
  expect(() => patientFetch({ https: 'ftp://me:word@x' })).toThrow(/^HTTPS_PROXY is not the address of a proxy$/);
});
