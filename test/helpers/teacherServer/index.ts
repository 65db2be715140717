// A teacher on loopback that writes tasks from a seeded grammar and misbehaves like the real ones.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRng } from '../../../src/base/index.ts';
import { type Answer, complete, fail, seedOf } from './complete.ts';
import { createFaultDice, createMisbehaviour, html, isLate, noQuota, send } from './faults.ts';
import { createFiles } from './files.ts';
import type { Asked, TeacherServer, TeacherServerOptions } from './options.ts';

export { countTokens } from './complete.ts';
export { isClassification, makeTask, type Task } from './grammar.ts';
export type { Asked, Fault, TeacherServer, TeacherServerOptions } from './options.ts';
export type { Kind } from './recognise.ts';

export async function startTeacherServer(options: TeacherServerOptions = {}): Promise<TeacherServer> {
  const paid = new Map<string, number>();
  const delivered = new Map<string, number>();
  const attempts = new Map<string, number>();
  const bodies = new Map<string, number>();
  const asked: Asked[] = [];
  const paths: string[] = [];
  let [open, peak, tokens] = [0, 0, 0];
  const add = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  const files = createFiles(options, (key) => add(paid, key));
  const drawFault = createFaultDice(options);
  const { misbehave, stop } = createMisbehaviour(options);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const method = request.method ?? 'GET';
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    paths.push(`${method} ${path}`);
    if (path === '/paid') send(response, { status: 200, body: Object.fromEntries(paid) });
    else if (!path.startsWith('/v1/')) html(response);
    else if (options.key !== undefined && request.headers.authorization !== `Bearer ${options.key}`) {
      send(response, fail(401, 'Incorrect API key provided.', 'invalid_api_key'));
    } else if (method === 'GET' && path === '/v1/models') {
      const data = (options.models ?? ['teacher']).map((id) => ({ id, object: 'model' }));
      send(response, { status: 200, body: { object: 'list', data } });
    } else if (method === 'POST' && /^\/v1\/(chat\/)?completions$/.test(path)) await completion(request, response, raw);
    else await file(request, response, raw, path.slice(3));
  }

  function describe(request: IncomingMessage, body: unknown): Asked {
    const { headers } = request;
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    const key = String(headers['idempotency-key'] ?? `body-${seedOf(request.method, path, body)}`);
    add(attempts, key);
    return { path, id: String(headers['x-client-request-id'] ?? ''), key, attempt: attempts.get(key)!, headers, body };
  }

  async function completion(request: IncomingMessage, response: ServerResponse, raw: Buffer): Promise<void> {
    const one = describe(request, JSON.parse(raw.toString()));
    asked.push(one);
    open++;
    peak = Math.max(peak, open);
    response.once('close', () => open--);
    if (options.latencyMs) await sleep(createRng(seedOf(options.seed ?? 1, one.key)).uniform() * options.latencyMs);
    await options.gate?.();
    const fault = options.fault?.(one) ?? drawFault(one);
    if (fault && !isLate(fault)) {
      misbehave(fault, request, response);
      return;
    }
    const answer = charge(one);
    if (answer.status === 200 && fault) {
      misbehave(fault, request, response, answer);
      return;
    }
    response.once('finish', () => answer.status === 200 && add(delivered, one.key));
    send(response, answer);
  }

  /** The answer, paid once for a key that is honoured. */
  function charge(one: Asked): Answer {
    const idempotent = options.idempotent !== false && one.headers['idempotency-key'] !== undefined;
    const hash = seedOf(one.body);
    const again = idempotent && paid.has(one.key);
    if (again && bodies.get(one.key) !== hash)
      return fail(409, 'Keys for idempotent requests can only be used with the same parameters.', 'idempotency_error');
    if (!again && options.quota !== undefined && paid.size >= options.quota) return noQuota();
    const answer = complete(one, one.path.endsWith('/chat/completions'), options);
    if (answer.status === 200 && !again) {
      add(paid, one.key);
      bodies.set(one.key, hash);
      tokens += answer.tokens ?? 0;
    }
    return answer;
  }

  async function file(request: IncomingMessage, response: ServerResponse, raw: Buffer, path: string): Promise<void> {
    const fault = options.fault?.(describe(request, path));
    if (fault && !isLate(fault)) {
      misbehave(fault, request, response);
      return;
    }
    const answer = await files(request.method ?? 'GET', path, raw, request.headers['content-type'] ?? '');
    if (answer === undefined) html(response);
    else if (fault) {
      misbehave(fault, request, response, typeof answer === 'string' ? { status: 200, body: answer } : answer);
    } else if (typeof answer === 'string') response.end(answer);
    else send(response, answer);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      // A client that left in the middle is no concern; anything else is a fault of this helper or of the request.
      if (response.headersSent || request.destroyed) response.destroy();
      else send(response, fail(400, `We could not parse your request: ${error}`));
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    paid: () => new Map(paid),
    tokens: () => tokens,
    delivered: () => new Map(delivered),
    asked,
    paths,
    peak: () => peak,
    close() {
      stop();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
