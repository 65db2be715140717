// The table of routes: exact paths, of which one segment at the end may be a name. Nothing is normalised.
import { ApiError } from './apiError.ts';
import type { Exchange } from './exchange.ts';

export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  /** '/v1/models', or '/v1/models/{id}' where the rest of the path is a name. */
  path: string;
  handle(exchange: Exchange): Promise<void> | void;
}

export interface Match {
  route: Route;
  param: string;
}

/** @throws ApiError 404, 405, 400 for a name that cannot be decoded. */
export type Router = (method: string, path: string) => Match;

export function createRouter(routes: readonly Route[]): Router {
  const exact = new Map<string, Route[]>();
  const named: { prefix: string; route: Route }[] = [];
  for (const route of routes) {
    if (route.path.endsWith('/{id}')) named.push({ prefix: route.path.slice(0, -'{id}'.length), route });
    else exact.set(route.path, [...(exact.get(route.path) ?? []), route]);
  }
  return (method, path) => {
    const fits = exact.get(path) ?? named.filter(({ prefix }) => path.startsWith(prefix) && path !== prefix);
    const found = fits.map((fit) => ('route' in fit ? fit.route : fit));
    if (found.length === 0) throw new ApiError(404, 'not_found', 'there is no such route; see /openapi.json');
    const route = found.find((r) => r.method === (method === 'HEAD' ? 'GET' : method));
    if (!route) {
      const allow = found.flatMap((r) => (r.method === 'GET' ? ['GET', 'HEAD'] : [r.method])).join(', ');
      throw new ApiError(405, 'method_not_allowed', `use ${allow}`, { headers: { allow } });
    }
    return { route, param: route.path.endsWith('/{id}') ? decode(path.slice(route.path.length - '{id}'.length)) : '' };
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ApiError(400, 'bad_target', 'the name in the path is not percent-encoded UTF-8');
  }
}
