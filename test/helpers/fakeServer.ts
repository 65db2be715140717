// A server over a fake assistant, and ways to talk to it that no polite client has.
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import OpenAI from 'openai';
import { type RequestRecord, type RunningServer, type ServerOptions, startServer } from '../../src/serve/index.ts';
import { type Fake, type FakeOptions, fakeAssistant, fakeConstraint } from './fakeAssistant.ts';

// biome-ignore lint/suspicious/noExplicitAny: the JSON of answers, looked into by tests only.
export type Json = any;

export interface FakeServer {
  fake: Fake;
  server: RunningServer;
  /** Without a slash at the end. */
  url: string;
  client: OpenAI;
  records: RequestRecord[];
  errors: unknown[];
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<{ status: number; body: Json }>;
  close(): Promise<void>;
}

export async function fakeServer(options: FakeOptions = {}, settings: ServerOptions = {}): Promise<FakeServer> {
  const fake = fakeAssistant(options);
  const records: RequestRecord[] = [];
  const errors: unknown[] = [];
  const server = await startServer(fake.assistant, {
    port: 0,
    jsonConstraint: fakeConstraint,
    webFolder: '/nowhere',
    onRequest: (record) => records.push(record),
    onError: (e) => errors.push(e),
    ...settings,
  });
  const url = `http://127.0.0.1:${server.port}`;
  const key = settings.apiKey;
  return {
    fake,
    server,
    url,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: key ?? 'none-needed', maxRetries: 0 }),
    records,
    errors,
    async post(path, body, headers = {}) {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key ? { authorization: `Bearer ${key}` } : {}),
          ...headers,
        },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      const text = await response.text();
      return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
    },
    close: () => server.close(),
  };
}

/** Sends these very bytes and gives back all that comes until the connection ends. */
export function exchangeRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', (e: NodeJS.ErrnoException) => (e.code === 'ECONNRESET' ? resolve(answer) : reject(e)));
    socket.on('close', () => resolve(answer));
    socket.write(text, 'latin1');
  });
}

/** The status of a request whose target and method go out as they are. */
export function statusOf(
  port: number,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const lines = Object.entries({ host: '127.0.0.1', connection: 'close', ...headers }).map(
    ([k, v]) => `${k}: ${v}\r\n`,
  );
  return exchangeRaw(port, `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`).then((answer) =>
    Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0),
  );
}

/** A streaming request whose reader does what the test says. */
export function openStream(port: number, path: string, body: unknown): Promise<Socket> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
          `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      );
      resolve(socket);
    });
    socket.on('error', reject);
  });
}

/** Headers beside the status, which fetch would not let us set. */
export function get(port: number, path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; headers: Record<string, string>; text: string }>((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers as Record<string, string>,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    call.on('error', reject);
    call.end();
  });
}

/** Until something is so, or the test's patience ends. Looks are counted, not time: a busy machine may pause us. */
export async function until(what: () => boolean, milliseconds = 20_000): Promise<void> {
  for (let looks = milliseconds / 5; !what(); looks--) {
    if (looks <= 0) throw new Error(`never happened: ${what}`);
    await new Promise((r) => setTimeout(r, 5));
  }
}
