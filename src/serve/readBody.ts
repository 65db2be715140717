// A JSON body, bounded: its length before and while it comes, its type, and how deep it nests.
import type { IncomingMessage } from 'node:http';
import { ApiError, badRequest } from './apiError.ts';

/** Deep enough for any JSON schema that people write; recursive code behind us is safe below it. */
const DEEPEST = 64;

/** @throws ApiError 400, 413, 415. */
export async function readJson(
  request: IncomingMessage,
  limit: number,
  /** Called before the first byte is read, for clients that wait for "100 Continue". */
  onRead: () => void,
): Promise<Record<string, unknown>> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
  if (!/^application\/json *(; *charset="?utf-8"? *)?$/i.test(type.trim())) {
    throw new ApiError(415, 'unsupported_media_type', 'the body must be Content-Type: application/json');
  }
  if (encoding !== 'identity') {
    throw new ApiError(415, 'unsupported_media_type', 'the body must not be compressed');
  }
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  onRead();
  const text = await readText(request, limit);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badRequest(`the body is not JSON: ${(cause as Error).message.slice(0, 200)}`, undefined, 'invalid_json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest('the body must be a JSON object', undefined, 'invalid_json');
  }
  if (depthBeyond(value, DEEPEST)) {
    throw badRequest(`the body nests more than ${DEEPEST} levels deep`, undefined, 'invalid_json');
  }
  return value as Record<string, unknown>;
}

const tooLarge = (limit: number) =>
  new ApiError(413, 'body_too_large', `the body is larger than ${limit} bytes, the limit of this server`);

async function readText(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve, reject) => {
    const done = (error?: ApiError) => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      if (error) reject(error);
      else resolve();
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > limit) done(tooLarge(limit));
    };
    const onEnd = () => done();
    const onClose = () => done(new ApiError(400, 'body_cut', 'the connection closed before the body was complete'));
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw badRequest('the body is not UTF-8', undefined, 'invalid_json');
  }
}

/** Without recursion: the body itself may be as deep as it is long. */
function depthBeyond(root: object, limit: number): boolean {
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((value) => Object.values(value).filter((v) => typeof v === 'object' && v !== null));
  }
  return false;
}
