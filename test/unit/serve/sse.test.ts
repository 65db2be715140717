// The stream itself: silence is filled, a slow reader is waited for, one who stopped is dropped.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../../src/serve/apiError.ts';
import { createSse, type SseOptions } from '../../../src/serve/sse.ts';
import { until } from '../../helpers/fakeServer.ts';

let close: () => void = () => {};
afterEach(() => close());

/** The server's and the client's end of one answer. */
async function pair() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let wire = '';
  socket.setEncoding('utf8').on('data', (text) => {
    wire += text;
  });
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  close = () => {
    socket.destroy();
    server.close();
    server.closeAllConnections();
  };
  return { socket, response, wire: () => wire };
}

async function stream(options: Partial<SseOptions> = {}) {
  const ends = await pair();
  let drops = 0;
  const sse = createSse(ends.response, { stall: 200, onDrop: () => drops++, ...options });
  return { ...ends, sse, drops: () => drops };
}

describe('a stream', () => {
  it('shows that it lives while there is nothing to send, and only then', async () => {
    const { sse, wire } = await stream({ heartbeat: 40 });
    expect(sse.open).toBe(false);
    await until(() => wire().split(': waiting\n\n').length > 2);
    expect(sse.open).toBe(true);
    const before = wire().split(': waiting').length;
    for (let i = 0; i < 12; i++) {
      await sse.send({ i });
      await new Promise((r) => setTimeout(r, 10));
    }
    expect(wire().split(': waiting').length - before).toBeLessThanOrEqual(2);
    sse.finish();
    await until(() => wire().includes('data: [DONE]\n\n'));
  });

  it('ends with the error of what failed on its way', async () => {
    const { sse, wire } = await stream();
    await sse.send({ a: 1 });
    sse.fail(new ApiError(504, 'request_timeout', 'too long'));
    await until(() => wire().includes('request_timeout'));
    expect(wire()).not.toContain('[DONE]');
    expect(wire()).toContain(
      'data: {"error":{"message":"too long","type":"server_error","param":null,"code":"request_timeout"}}',
    );
  });

  it('waits for a reader who is slow', async () => {
    const { sse, socket, drops } = await stream({ buffer: 1000, stall: 5000 });
    socket.pause();
    const text = 'a'.repeat(200_000);
    let sent = 0;
    const sending = (async () => {
      for (; sent < 60; sent++) await sse.send({ text });
    })();
    await new Promise((r) => setTimeout(r, 200));
    // What the system's own buffers hold is gone; the rest waits.
    const held = sent;
    expect(held).toBeLessThan(60);
    await new Promise((r) => setTimeout(r, 100));
    expect(sent).toBe(held);
    socket.resume();
    await sending;
    expect([sent, drops()]).toEqual([60, 0]);
    sse.release();
  });

  it('drops a reader who stopped, and says so once', async () => {
    const { sse, socket, response, drops } = await stream({ buffer: 1000, stall: 100 });
    socket.pause();
    const text = 'a'.repeat(200_000);
    const sending = (async () => {
      for (;;) await sse.send({ text });
    })();
    await expect(sending).rejects.toMatchObject({ name: 'ClientGone' });
    expect(drops()).toBe(1);
    expect(response.destroyed).toBe(true);
    await expect(sse.send({})).rejects.toMatchObject({ name: 'ClientGone' });
    expect(response.listenerCount('drain') + response.listenerCount('close')).toBeLessThan(4);
    sse.release();
  });
});
