// One request to the server that this page came from, with the key where one is needed.
import { ApiError, errorOf } from './apiError.ts';
import { askForKey, storedKey } from './key.ts';

export interface RequestOptions {
  /** Sent as JSON by POST; without it the request is a GET. */
  body?: unknown;
  signal?: AbortSignal;
}

/**
 * @param path relative, so that the page may live in a folder of a proxy.
 * @throws ApiError; an AbortError when `signal` was aborted.
 */
export async function request(path: string, { body, signal }: RequestOptions = {}): Promise<Response> {
  for (;;) {
    const key = storedKey();
    const response = await send(path, body, key, signal);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.kind !== 'key') throw error;
    if ((await askForKey(key)) === undefined) throw error;
  }
}

async function send(path: string, body: unknown, key: string | undefined, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (key !== undefined) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(new URL(path, document.baseURI), {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      cache: 'no-store',
    });
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new ApiError('lost', String((e as Error).message));
  }
}
