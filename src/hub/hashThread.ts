// Hashes of growing files, from a thread of its own: each follows its file up to where it is whole, so little is left at the end.
import { Worker } from 'node:worker_threads';
import type { HashKind } from './hashFile.ts';
import type { HashAnswer, HashOrder } from './hashWorker.ts';

/** A message costs as much as hashing some kilobytes. */
const STEP = 4 << 20;

export interface GrowingHash {
  /** Says that the file is whole up to there. */
  advance(to: number): void;
  /** The hash of the first `size` bytes, lower-case hexadecimal. @throws an error with the system's code. */
  digest(): Promise<string>;
  close(): void;
}

export class HashThread {
  #worker: Worker | undefined;
  #next = 0;
  readonly #open = new Map<number, { resolve: (digest: string) => void; reject: (error: Error) => void }>();

  /** The thread starts with the first file. */
  follow(path: string, kind: HashKind, size: number): GrowingHash {
    const id = this.#next++;
    const worker = this.#start();
    const send = (order: HashOrder) => worker.postMessage(order);
    const answer = new Promise<string>((resolve, reject) => this.#open.set(id, { resolve, reject }));
    answer.catch(() => {});
    send({ id, do: 'open', path, kind, size });
    let told = 0;
    return {
      advance(to) {
        if (to - told < STEP && to < size) return;
        told = to;
        send({ id, do: 'advance', to });
      },
      digest() {
        send({ id, do: 'advance', to: size });
        send({ id, do: 'digest' });
        return answer;
      },
      close: () => {
        this.#open.delete(id);
        send({ id, do: 'close' });
      },
    };
  }

  async stop(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    // The user's own flags for node are not meant for this thread.
    const worker = new Worker(workerUrl(), { name: 'huacaya-hash', execArgv: [] });
    worker.on('message', ({ id, digest, error }: HashAnswer) => {
      const waiting = this.#open.get(id);
      this.#open.delete(id);
      if (error) waiting?.reject(Object.assign(new Error(error.message), error));
      else waiting?.resolve(digest!);
    });
    worker.on('error', (error) => {
      for (const waiting of this.#open.values()) waiting.reject(error as Error);
      this.#open.clear();
      this.#worker = undefined;
    });
    this.#worker = worker;
    return worker;
  }
}

/** The compiled worker also when this file runs from source (tests): a worker thread cannot load TypeScript. */
function workerUrl(): URL {
  const here = import.meta.url;
  return here.endsWith('.ts') ? new URL('../../dist/hub/hashWorker.js', here) : new URL('./hashWorker.js', here);
}
