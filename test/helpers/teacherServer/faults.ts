// The ways in which a request goes wrong on the wire.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRng, type Rng } from '../../../src/base/index.ts';
import { type Answer, fail, seedOf } from './complete.ts';
import type { Asked, Fault, TeacherServerOptions } from './options.ts';

const PAGE = '<!doctype html><html><head><title>404 Not Found</title></head><body>nothing here</body></html>';

export function send(response: ServerResponse, { status, body }: Answer, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function html(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/html' }).end(PAGE);
}

export function noQuota(): Answer {
  const message = 'You exceeded your current quota, please check your plan and billing details.';
  return {
    status: 429,
    body: { error: { message, type: 'insufficient_quota', param: null, code: 'insufficient_quota' } },
  };
}

/** True where the answer has been worked out, and paid for, before things go wrong. */
export const isLate = (fault: Fault) => fault === 'cut' || fault === 'stall' || fault === 'filter';

/** Draws faults by the seed, the request and the attempt; never more than three for one request without a break. */
export function createFaultDice(options: TeacherServerOptions) {
  const inARow = new Map<string, number>();
  const kinds: readonly Fault[] = ['too-many', 'too-many', 'error', 'error', 'cut', 'reset', 'hang'];
  return (one: Asked): Fault | undefined => {
    const rng: Rng = createRng(seedOf(options.seed ?? 1, 'fault', one.id || one.body, one.attempt));
    const before = inARow.get(one.key) ?? 0;
    if (before >= 3 || rng.uniform() >= (options.faults ?? 0)) {
      inARow.delete(one.key);
      return undefined;
    }
    inARow.set(one.key, before + 1);
    return kinds[rng.below(kinds.length)];
  };
}

export function createMisbehaviour(options: TeacherServerOptions) {
  const hangs = new Set<NodeJS.Timeout>();
  const seconds = options.retryAfter ?? 0;
  const busy = fail(429, 'Rate limit reached for requests per min.', 'rate_limit_exceeded');
  const hang = (request: IncomingMessage, response: ServerResponse) => {
    const timer = setTimeout(() => request.socket.destroy(), options.hangMs ?? 300);
    hangs.add(timer);
    response.once('close', () => {
      clearTimeout(timer);
      hangs.delete(timer);
    });
  };

  /** @param answer what would have been answered, for faults that are late. */
  function misbehave(fault: Fault, request: IncomingMessage, response: ServerResponse, answer?: Answer): void {
    const text = answer && (typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    const half = () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text!) });
      response.write(text!.slice(0, text!.length >> 1));
    };
    if (typeof fault === 'object') send(response, fault, fault.headers);
    else if (fault === 'too-many') send(response, busy, { 'retry-after': String(seconds) });
    else if (fault === 'too-many-date') {
      send(response, busy, { 'retry-after': new Date(Date.now() + seconds * 1000).toUTCString() });
    } else if (fault === 'error') send(response, fail(500, 'The server had an error while processing your request.'));
    else if (fault === 'forbidden') {
      send(response, fail(403, 'You have insufficient permissions for this operation.'));
    } else if (fault === 'no-quota') send(response, noQuota());
    else if (fault === 'redirect') {
      send(response, { status: 307, body: {} }, { location: 'http://127.0.0.1:9/v1/chat/completions' });
    } else if (fault === 'html') html(response);
    else if (fault === 'garbage') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>please log in</html>');
    } else if (fault === 'filter') {
      const body = structuredClone(answer!.body) as { choices: { finish_reason: string }[] };
      body.choices[0]!.finish_reason = 'content_filter';
      send(response, { status: 200, body });
    } else if (fault === 'reset') request.socket.destroy();
    else if (fault === 'cut') {
      half();
      // The half that was written goes out before the connection ends.
      setTimeout(() => request.socket.destroy(), 2);
    } else {
      if (fault === 'stall') half();
      hang(request, response);
    }
  }
  return {
    misbehave,
    stop() {
      for (const timer of hangs) clearTimeout(timer);
    },
  };
}
