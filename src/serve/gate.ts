// The one gate in front of every route: what it does not let through explicitly gets nothing. It judges the raw request,
// before any path is decoded or matched, so that no odd spelling of a path leads around it.
import type { IncomingMessage } from 'node:http';
import { hostName } from './address.ts';
import { ApiError } from './apiError.ts';
import { createKeyCheck } from './keyCheck.ts';

export interface GateRules {
  apiKey: string | undefined;
  /** Names that a Host header may hold, lower case, beside this machine's own. */
  hosts: readonly string[];
  /** Other pages that may call, e.g. 'https://tools.example'. */
  origins: readonly string[];
  /** Exact targets that GET and HEAD may read without the key. */
  isOpen(path: string): boolean;
}

export interface Passed {
  /** The request target without its query, as it was sent. */
  path: string;
  /** A page of another origin that may read the answer. */
  origin: string | undefined;
  /** A browser asks whether `origin` may call: there is nothing more to do than to say yes. */
  preflight: boolean;
}

/** @throws ApiError 400, 401, 403. */
export type Gate = (request: IncomingMessage) => Passed;

const ownNames = ['localhost', '127.0.0.1', '::1'];

export function createGate({ apiKey, hosts, origins, isOpen }: GateRules): Gate {
  const hasKey = createKeyCheck(apiKey);
  const names = new Set([...ownNames, ...hosts.map((host) => host.toLowerCase())]);
  const allowed = new Set(origins);

  /** Against DNS rebinding: a stranger's name that leads here is not ours. The address that was dialled is no name. */
  function checkHost(request: IncomingMessage): string {
    const given = request.rawHeaders.filter((_, i, all) => i % 2 === 0 && all[i]!.toLowerCase() === 'host').length;
    const host = request.headers.host;
    const name = given === 1 ? hostName(host) : undefined;
    const dialled = request.socket.localAddress?.replace(/^::ffff:/, '');
    if (host === undefined || name === undefined || !(names.has(name) || name === dialled)) {
      throw new ApiError(403, 'host_not_allowed', 'the Host header names another host; see --allow-host');
    }
    return host;
  }

  /** @returns the origin where it is another one that may call. */
  function checkOrigin(request: IncomingMessage, host: string): string | undefined {
    const { origin } = request.headers;
    if (origin === undefined) return undefined;
    if (allowed.has(origin)) return origin;
    const own = host.toLowerCase();
    if (origin === `http://${own}` || origin === `https://${own}`) return undefined;
    throw new ApiError(403, 'origin_not_allowed', 'pages of this origin may not call this server; see --allow-origin');
  }

  return (request) => {
    const target = request.url ?? '';
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    const host = checkHost(request);
    const origin = checkOrigin(request, host);
    // A browser sends no key with this question, and the answer holds nothing.
    const preflight =
      request.method === 'OPTIONS' &&
      origin !== undefined &&
      request.headers['access-control-request-method'] !== undefined;
    if (preflight) return { path, origin, preflight };
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!(reads && isOpen(path)) && !hasKey(request.headers.authorization)) {
      throw new ApiError(401, 'invalid_api_key', 'this server needs its API key: Authorization: Bearer <key>', {
        headers: { 'www-authenticate': 'Bearer' },
      });
    }
    if (!path.startsWith('/')) throw new ApiError(400, 'bad_target', 'the request target must be a path');
    return { path, origin, preflight };
  };
}
