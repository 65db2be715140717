// A thread that hashes files as they grow, so that the thread of the network does not have to.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { HashKind } from './hashFile.ts';

/** `open` starts a file over; `advance` says that it is whole up to `to`; `digest` asks for the hash of what was read. */
export type HashOrder =
  | { id: number; do: 'open'; path: string; kind: HashKind; size: number }
  | { id: number; do: 'advance'; to: number }
  | { id: number; do: 'digest' }
  | { id: number; do: 'close' };

export interface HashAnswer {
  id: number;
  digest?: string;
  error?: { message: string; code?: string; syscall?: string };
}

interface Open {
  fd: number;
  hash: Hash;
  at: number;
}

const files = new Map<number, Open>();
const piece = new Uint8Array(1 << 20);

function close(id: number): void {
  const file = files.get(id);
  if (file) closeSync(file.fd);
  files.delete(id);
}

function carryOut(order: HashOrder): string | undefined {
  if (order.do === 'close') {
    close(order.id);
    return undefined;
  }
  if (order.do === 'open') {
    close(order.id);
    const hash = createHash(order.kind === 'sha256' ? 'sha256' : 'sha1');
    if (order.kind === 'git-sha1') hash.update(`blob ${order.size}\0`);
    files.set(order.id, { fd: openSync(order.path, 'r'), hash, at: 0 });
    return undefined;
  }
  const file = files.get(order.id);
  // It failed before, and that was told.
  if (!file) return undefined;
  if (order.do === 'digest') {
    close(order.id);
    return file.hash.digest('hex');
  }
  while (file.at < order.to) {
    const count = readSync(file.fd, piece, 0, Math.min(piece.length, order.to - file.at), file.at);
    if (count === 0) throw new Error(`the file ends at ${file.at}, but ${order.to} bytes were written`);
    file.hash.update(piece.subarray(0, count));
    file.at += count;
  }
  return undefined;
}

parentPort?.on('message', (order: HashOrder) => {
  try {
    const digest = carryOut(order);
    if (digest !== undefined) parentPort!.postMessage({ id: order.id, digest } satisfies HashAnswer);
  } catch (cause) {
    close(order.id);
    const { message, code, syscall } = cause as NodeJS.ErrnoException;
    const error = { message, ...(code ? { code } : {}), ...(syscall ? { syscall } : {}) };
    parentPort!.postMessage({ id: order.id, error } satisfies HashAnswer);
  }
});
