// A stand-in for `huacaya serve`: the built page with the real Content-Security-Policy, and an API whose answers a test writes.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerInfo } from '../../web/src/api/types.ts';

export const dist = fileURLToPath(new URL('../../dist/web/', import.meta.url));

export const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export interface AskBody {
  model: string;
  instruction?: string;
  input?: string;
  messages?: { role: string; content: string }[];
  stream: boolean;
  stop?: string[];
  [option: string]: unknown;
}

export interface Reply {
  /** Anything but 200 is an error with this message. */
  status?: number;
  message?: string;
  code?: string;
  headers?: Record<string, string>;
  /** What is streamed. */
  pieces?: string[];
  /** Milliseconds before each piece. */
  pause?: number;
  finish?: string;
  promptTokens?: number;
  cachedTokens?: number;
  /** Default: one for each piece. */
  answerTokens?: number;
  mode?: string;
  /** After the pieces: the connection is cut, or an error comes as an event. */
  ending?: 'cut' | 'error';
}

export interface Asked {
  path: string;
  body: AskBody;
  /** The page went away before the end. */
  aborted: boolean;
}

export const info: ServerInfo = {
  version: '0.2.0',
  base: 'SmolLM2-135M-Instruct',
  models: [
    { id: 'SmolLM2-135M-Instruct', kind: 'base', template: 'chat', remembers: true },
    { id: 'plain-answers', kind: 'adapter', template: 'alpaca', remembers: false },
    { id: 'pirate', kind: 'adapter', template: 'chat', remembers: true },
  ],
  positions: 2048,
  slots: 4,
  precision: 'int8',
};

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

export class FakeServer {
  url = '';
  info = info;
  /** Every request needs it when set. */
  key: string | undefined;
  /** What is answered; a test replaces it. */
  reply: (body: AskBody, path: string) => Reply = () => ({ pieces: ['Hello', ' there.'] });
  readonly asked: Asked[] = [];
  readonly #server = createServer((request, response) => {
    this.#handle(request, response).catch(() => response.destroy());
  });

  async start(port = 0): Promise<this> {
    if (!existsSync(join(dist, 'index.html'))) throw new Error('dist/web is missing: run `npm run build:web` first');
    await new Promise<void>((done) => this.#server.listen(port, '127.0.0.1', done));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
    return this;
  }

  /** Back to how it was made, for the next test. */
  reset(): void {
    this.info = info;
    this.key = undefined;
    this.reply = () => ({ pieces: ['Hello', ' there.'] });
    this.asked.length = 0;
  }

  /** Cuts every connection and refuses new ones. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url!, this.url);
    if (!pathname.startsWith('/v1/')) return file(pathname, response);
    if (this.key !== undefined && request.headers.authorization !== `Bearer ${this.key}`) {
      return fail(response, { status: 401, message: 'a key is needed' });
    }
    if (pathname === '/v1/huacaya/info') return json(response, 200, this.info);
    let text = '';
    for await (const part of request) text += part;
    const asked: Asked = { path: pathname, body: JSON.parse(text), aborted: false };
    this.asked.push(asked);
    const reply = this.reply(asked.body, pathname);
    if (reply.status !== undefined && reply.status !== 200) return fail(response, reply);
    await stream(asked, reply, response);
  }
}

async function file(pathname: string, response: ServerResponse): Promise<void> {
  const name = pathname === '/' ? 'index.html' : pathname.slice(1);
  const bytes = name.includes('..') ? undefined : await readFile(join(dist, name)).catch(() => undefined);
  response.writeHead(bytes ? 200 : 404, {
    'content-type': types[extname(name)] ?? 'text/plain',
    'content-security-policy': contentSecurityPolicy,
    'x-content-type-options': 'nosniff',
  });
  response.end(bytes);
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

function fail(response: ServerResponse, { status = 500, message = 'no', code = 'x', headers = {} }: Reply): void {
  json(response, status, { error: { message, type: 'invalid_request_error', param: null, code } }, headers);
}

async function stream(asked: Asked, reply: Reply, response: ServerResponse): Promise<void> {
  const { pieces = [], pause = 0, finish = 'stop', promptTokens = 12, cachedTokens = 0, mode = 'greedy' } = reply;
  response.on('close', () => {
    asked.aborted = !response.writableEnded;
  });
  const event = (data: unknown) => response.write(`data: ${JSON.stringify(data)}\n\n`);
  const chunk = (delta: object, finish_reason: string | null = null) =>
    event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  chunk({ role: 'assistant', content: '' });
  for (const content of pieces) {
    await new Promise((done) => setTimeout(done, pause));
    if (response.destroyed) return;
    chunk({ content });
  }
  if (reply.ending === 'cut') {
    // What was written is on its way first.
    await new Promise((done) => setTimeout(done, 50));
    response.destroy();
    return;
  }
  if (reply.ending === 'error') {
    event({ error: { message: 'the engine stopped', type: 'server_error', param: null, code: 'internal_error' } });
    response.end();
    return;
  }
  chunk({}, finish);
  const { answerTokens = pieces.length } = reply;
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: answerTokens,
    total_tokens: promptTokens + answerTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
  event({ choices: [], usage, huacaya: { mode, tokens_per_second: 98.4, prefill_seconds: 0.05 } });
  response.write(': a comment\r\n\r\n');
  response.end('data: [DONE]\n\n');
}
