// Every route of the server, in one table.
import type { ServerContext } from '../context.ts';
import type { Exchange } from '../exchange.ts';
import { openApiDocument } from '../openapi.ts';
import type { Route } from '../router.ts';
import { addAdapter, removeAdapter } from './adapters.ts';
import { chat } from './chat.ts';
import { completions } from './completions.ts';
import { info } from './info.ts';
import { instruct } from './instruct.ts';
import { listModels, showModel } from './models.ts';

function health(exchange: Exchange, { draining }: ServerContext): void {
  exchange.sendJson(draining ? 503 : 200, { status: draining ? 'draining' : 'ok' });
}

function metrics({ send }: Exchange, { meters }: ServerContext): void {
  send(200, 'text/plain; version=0.0.4; charset=utf-8', meters.text());
}

/** Read without a key. */
export const openRoutes: ReadonlySet<string> = new Set(['/healthz']);

type Handle = (exchange: Exchange, context: ServerContext) => Promise<void> | void;

export function routesOf(context: ServerContext): Route[] {
  const document = openApiDocument();
  const route = (method: Route['method'], path: string, handle: Handle): Route => ({
    method,
    path,
    handle: (exchange) => handle(exchange, context),
  });
  return [
    route('GET', '/healthz', health),
    route('GET', '/metrics', metrics),
    route('GET', '/openapi.json', (exchange) => exchange.sendJson(200, document)),
    route('GET', '/v1/models', listModels),
    route('GET', '/v1/models/{id}', showModel),
    route('POST', '/v1/chat/completions', chat),
    route('POST', '/v1/completions', completions),
    route('POST', '/v1/huacaya/instruct', instruct),
    route('GET', '/v1/huacaya/info', info),
    route('POST', '/v1/huacaya/adapters', addAdapter),
    route('DELETE', '/v1/huacaya/adapters/{id}', removeAdapter),
  ];
}
