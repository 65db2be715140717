// A hub and its storage on loopback, for bench/hubKills.mjs: the paths and headers of the real one, bodies from memory at a given pace,
// and a count of every byte that was handed to a connection.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export const repo = 'bench/model';
export const commit = '0123456789abcdef0123456789abcdef01234567';

/**
 * @param files name -> { bytes, sha256 }
 * @param pace bytes a second, all connections together; as on a real line, little is on its way then
 */
export async function startHub(files, pace) {
  const served = new Map();
  const waiting = [];
  let total = 0;
  let clock = 0;
  let held = false;
  const sockets = new Set();

  const count = (name, bytes) => {
    served.set(name, (served.get(name) ?? 0) + bytes);
    total += bytes;
    for (const entry of waiting.filter((w) => w.bytes <= total)) {
      waiting.splice(waiting.indexOf(entry), 1);
      entry.resolve();
    }
  };

  async function send(res, name, from, to) {
    const { bytes } = files[name];
    for (let at = from; at < to && !res.destroyed; ) {
      if (held) {
        await sleep(5);
        continue;
      }
      const next = bytes.subarray(at, Math.min(at + 65536, to));
      const room = res.write(next);
      count(name, next.length);
      at += next.length;
      if (!room) await drained(res);
      clock = Math.max(clock, performance.now()) + (next.length / pace) * 1000;
      if (clock - performance.now() > 2) await sleep(clock - performance.now());
    }
    res.end();
  }

  const storage = createServer((req, res) => {
    const name = decodeURIComponent(req.url.split('?')[0].slice('/signed/'.length));
    const { bytes, sha256 } = files[name];
    const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '');
    const from = range ? Number(range[1]) : 0;
    const to = range?.[2] ? Number(range[2]) + 1 : bytes.length;
    res.writeHead(range ? 206 : 200, {
      etag: `"${sha256}"`,
      'accept-ranges': 'bytes',
      'content-length': to - from,
      ...(range ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
    });
    send(res, name, from, to);
  });
  const hub = createServer((req, res) => {
    const name = decodeURIComponent(req.url.split(`/resolve/${commit}/`)[1] ?? '');
    if (!files[name]) return void res.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    res.writeHead(302, {
      'x-repo-commit': commit,
      'x-linked-etag': `"${files[name].sha256}"`,
      'x-linked-size': files[name].bytes.length,
      location: `http://127.0.0.1:${storage.address().port}/signed/${encodeURIComponent(name)}?X-Amz-Signature=s`,
    });
    res.end();
  });
  storage.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  for (const server of [hub, storage]) await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${hub.address().port}`,
    served,
    get total() {
      return total;
    },
    reset() {
      served.clear();
      total = 0;
    },
    /**
     * Bytes that were handed out and that no process has read: in our hands, and in the system's buffers of both ends
     * (Linux; elsewhere they count as read). To be asked while the reader stands still.
     */
    onTheWay() {
      let bytes = 0;
      for (const socket of sockets) bytes += socket.writableLength;
      const port = storage.address().port.toString(16).toUpperCase().padStart(4, '0');
      let table = '';
      try {
        table = readFileSync('/proc/net/tcp', 'utf8');
      } catch {}
      for (const line of table.split('\n').slice(1)) {
        const [, local = '', remote = '', , queues = ''] = line.trim().split(/\s+/);
        const [sending, receiving] = queues.split(':').map((digits) => Number.parseInt(digits, 16));
        if (local.endsWith(`:${port}`)) bytes += sending;
        if (remote.endsWith(`:${port}`)) bytes += receiving;
      }
      return bytes;
    },
    /** Holds all bodies back, or lets them go on. */
    hold(yes) {
      held = yes;
    },
    /** Resolves when so many bytes have been handed out since the last reset. */
    reached: (bytes) => new Promise((resolve) => waiting.push({ bytes, resolve })),
    async close() {
      for (const server of [hub, storage]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

function drained(res) {
  return new Promise((resolve) => {
    const go = () => {
      res.off('drain', go).off('close', go);
      resolve();
    };
    res.on('drain', go).on('close', go);
  });
}
