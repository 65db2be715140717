// One request and its answer: what the routes may do with them, and nothing of a socket beyond it.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ApiError, toApiError } from './apiError.ts';
import { readJson } from './readBody.ts';

export interface Exchange {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What stood for {id} in the route's path, decoded. */
  readonly param: string;
  /** For the access log: tokens of prompt and answer. */
  tokens: { prompt: number; completion: number } | undefined;
  /** @throws ApiError 400, 413, 415. */
  json(): Promise<Record<string, unknown>>;
  send(status: number, type: string, body: string | Uint8Array, headers?: Readonly<Record<string, string>>): void;
  sendJson(status: number, body: unknown): void;
  /** The error as an answer, or the end of the connection where an answer has begun. */
  fail(error: unknown): void;
  /** @param then called, once, when the client is gone before its answer was complete. */
  onGone(then: () => void): void;
}

/** The client went away: nobody is there to be told. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** On every answer: no guessing of types, no copies, no scripts, no use as a part of other pages. */
export const safeHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

export function createExchange(
  request: IncomingMessage,
  response: ServerResponse,
  options: { maxBody: number; expectsContinue: boolean },
): Exchange & { param: string } {
  const id = `req_${randomUUID().replaceAll('-', '')}`;
  for (const [name, value] of Object.entries(safeHeaders)) response.setHeader(name, value);
  response.setHeader('x-request-id', id);

  function send(
    status: number,
    type: string,
    body: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ) {
    response.statusCode = status;
    response.setHeader('content-type', type);
    response.setHeader('content-length', Buffer.byteLength(body));
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.end(body);
  }
  const sendJson = (status: number, body: unknown, headers?: Readonly<Record<string, string>>) =>
    send(status, 'application/json; charset=utf-8', JSON.stringify(body), headers);

  return {
    id,
    request,
    response,
    param: '',
    tokens: undefined,
    json: () =>
      readJson(request, options.maxBody, () => {
        if (options.expectsContinue) response.writeContinue();
      }),
    send,
    sendJson,
    fail(error) {
      if (error instanceof ClientGone || response.destroyed || response.writableEnded) response.destroy();
      else if (response.headersSent) response.destroy();
      else {
        const answer: ApiError = toApiError(error);
        sendJson(answer.status, answer.body, answer.headers);
      }
    },
    onGone(then) {
      response.once('close', () => {
        if (!response.writableFinished) then();
      });
    },
  };
}
