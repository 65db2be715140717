// One request on its way: gate, route, answer, record.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from './apiError.ts';
import type { ServerContext } from './context.ts';
import { allowOrigin, answerPreflight } from './cors.ts';
import { ClientGone, createExchange } from './exchange.ts';
import type { Gate } from './gate.ts';
import type { Router } from './router.ts';
import { type StaticFiles, sendStatic } from './staticFiles.ts';

export interface HandlerParts {
  gate: Gate;
  router: Router;
  files: StaticFiles;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, expectsContinue?: boolean) => Promise<void>;

export function createHandler(context: ServerContext, { gate, router, files }: HandlerParts): Handler {
  const { settings, meters } = context;
  return async (request, response, expectsContinue = false) => {
    const begin = performance.now();
    const exchange = createExchange(request, response, { maxBody: settings.maxBody, expectsContinue });
    let label = 'none';
    let path = '';
    response.once('close', () => {
      const seconds = (performance.now() - begin) / 1000;
      const { statusCode: status, writableFinished } = response;
      meters.requests.add(1, { route: label, status: String(status) });
      meters.duration.observe(seconds, { route: label });
      const { tokens } = exchange;
      settings.onRequest({
        id: exchange.id,
        method: request.method ?? '',
        path,
        status,
        seconds,
        ...(tokens ? { promptTokens: tokens.prompt, completionTokens: tokens.completion } : {}),
        cut: !writableFinished,
      });
    });
    try {
      path = (request.url ?? '').split('?', 1)[0]!;
      const passed = gate(request);
      if (passed.origin !== undefined) allowOrigin(response, passed.origin);
      if (passed.preflight) {
        label = 'preflight';
        answerPreflight(request, response);
        return;
      }
      if (context.draining) {
        response.setHeader('connection', 'close');
        if (path !== '/healthz') throw shuttingDown();
      }
      const file = request.method === 'GET' || request.method === 'HEAD' ? files.get(path) : undefined;
      if (file) {
        label = 'page';
        sendStatic(exchange, file);
        return;
      }
      const { route, param } = router(request.method ?? '', path);
      label = route.path;
      exchange.param = param;
      await route.handle(exchange);
    } catch (e) {
      exchange.fail(e);
      if (response.statusCode === 500 && !(e instanceof ClientGone)) settings.onError(e);
    } finally {
      dropWhenStalled(response, settings.writeTimeout);
    }
  };
}

/** The answer is written; who does not take it keeps nothing of ours for long. */
function dropWhenStalled(response: ServerResponse, seconds: number): void {
  if (response.writableFinished || response.destroyed) return;
  const limit = setTimeout(() => response.destroy(), seconds * 1000);
  response.once('close', () => clearTimeout(limit));
}

export const shuttingDown = () =>
  new ApiError(503, 'shutting_down', 'the server is about to end', { headers: { 'retry-after': '5' } });
