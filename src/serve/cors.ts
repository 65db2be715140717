// Headers for pages of other origins, for those alone that the gate let through.
import type { IncomingMessage, ServerResponse } from 'node:http';

export function allowOrigin(response: ServerResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('vary', 'origin');
  response.setHeader('access-control-expose-headers', 'x-request-id, retry-after');
  response.setHeader('cross-origin-resource-policy', 'cross-origin');
}

export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  const asked = String(request.headers['access-control-request-headers'] ?? '');
  response.setHeader('access-control-allow-methods', 'GET, POST, DELETE');
  // Official clients send a dozen headers of their own.
  if (/^[\w-]+(\s*,\s*[\w-]+)*$/.test(asked)) response.setHeader('access-control-allow-headers', asked);
  if (request.headers['access-control-request-private-network'] === 'true') {
    response.setHeader('access-control-allow-private-network', 'true');
  }
  response.setHeader('access-control-max-age', '600');
  response.writeHead(204).end();
}
