// Server-sent events with a bounded buffer: a reader who is too slow is waited for, one who has stopped is dropped.
// Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
import type { ServerResponse } from 'node:http';
import type { ApiError } from './apiError.ts';
import { ClientGone } from './exchange.ts';

export interface SseOptions {
  /** Bytes that may wait for the reader before the answer is held up. */
  buffer?: number;
  /** Milliseconds without any progress after which a reader is given up. */
  stall: number;
  /** Milliseconds of silence after which a comment shows that the connection lives. */
  heartbeat?: number;
  /** A reader was given up. */
  onDrop?: () => void;
}

export interface Sse {
  /** Headers are out: an error can no longer be a status. */
  readonly open: boolean;
  /** @throws ClientGone. */
  send(data: unknown): Promise<void>;
  /** The last event of an answer that failed on its way. */
  fail(error: ApiError): void;
  /** '[DONE]' and the end. */
  finish(): void;
  /** Stops the heartbeat; safe to call twice. */
  release(): void;
}

const BUFFER = 1 << 20;
const HEARTBEAT = 10_000;

export function createSse(response: ServerResponse, options: SseOptions): Sse {
  const { buffer = BUFFER, stall, heartbeat = HEARTBEAT, onDrop = () => {} } = options;
  let quiet = true;
  const beat = setInterval(() => {
    if (quiet && !response.destroyed && !response.writableEnded && response.writableLength < buffer) {
      start();
      response.write(': waiting\n\n');
    }
    quiet = true;
  }, heartbeat);

  function start(): void {
    if (response.headersSent) return;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      // For nginx in front of us.
      'x-accel-buffering': 'no',
    });
  }

  function write(text: string): void {
    if (response.destroyed) throw new ClientGone('the client is gone');
    start();
    quiet = false;
    response.write(text);
  }

  /** Until there is room again, the reader is gone, or it has not taken anything for too long. */
  function room(): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => {
        clearInterval(watch);
        response.off('drain', onDrain).off('close', onClose);
        if (error) reject(error);
        else resolve();
      };
      const onDrain = () => done();
      const onClose = () => done(new ClientGone('the client is gone'));
      let before = response.writableLength;
      const watch = setInterval(() => {
        if (response.writableLength < before) before = response.writableLength;
        else {
          onDrop();
          response.destroy();
          done(new ClientGone('the client does not read'));
        }
      }, stall);
      response.on('drain', onDrain).on('close', onClose);
    });
  }

  /** Several answers of one request share a reader. */
  let waiting: Promise<void> | undefined;

  return {
    get open() {
      return response.headersSent;
    },
    async send(data) {
      write(`data: ${JSON.stringify(data)}\n\n`);
      if (response.writableLength <= buffer) return;
      waiting ??= room().finally(() => {
        waiting = undefined;
      });
      await waiting;
    },
    fail(error) {
      clearInterval(beat);
      if (response.destroyed || response.writableEnded) return;
      response.end(`data: ${JSON.stringify(error.body)}\n\n`);
    },
    finish() {
      clearInterval(beat);
      write('data: [DONE]\n\n');
      response.end();
    },
    release: () => clearInterval(beat),
  };
}
