// A scanner whose texts are dealt out to worker threads: each scans its share, the parts add up. Needs Node.
import { Worker } from 'node:worker_threads';
import { HuacayaError } from '../../base/index.ts';
import { type Scanner, scanInPlace } from './rougeDedupe.ts';
import type { RougeIndex } from './rougeIndex.ts';
import { mergeParts, type ScanJob, type ScanPart } from './scan.ts';
import type { ScanReply, ScanRequest } from './scanProtocol.ts';

/**
 * Pairs below which a message to the threads and back takes longer than scanning here: some 0.1 ms at 20 ns a pair. Where
 * the work is done changes no figure.
 */
const pairsWorthPosting = 10_000;

/** The compiled worker also when this file runs from source (tests): a worker thread cannot load TypeScript. */
function workerUrl(): URL {
  const here = import.meta.url;
  return here.endsWith('.ts')
    ? new URL('../../../dist/selfinstruct/dedupe/scanWorker.js', here)
    : new URL('./scanWorker.js', here);
}

/** One thread and what it has not been told yet. */
class Share {
  private worker: Worker | undefined;
  private readonly most: number;
  private ids: number[] = [];
  private texts: Int32Array[] = [];
  private readonly waiting: { resolve: (parts: ScanPart[]) => void; reject: (e: Error) => void }[] = [];
  private dead: Error | undefined;

  constructor(most: number) {
    this.most = most;
  }

  add(id: number, tokens: Int32Array): void {
    this.ids.push(id);
    this.texts.push(tokens);
  }

  /** @throws HuacayaError DEDUPE_THREAD when the thread cannot be started or has ended. */
  scan(jobs: readonly ScanJob[]): Promise<ScanPart[]> {
    if (this.dead) return Promise.reject(this.dead);
    this.worker ??= this.start();
    const tokens = new Int32Array(this.texts.reduce((sum, text) => sum + text.length, 0));
    let at = 0;
    for (const text of this.texts) {
      tokens.set(text, at);
      at += text.length;
    }
    const lengths = Int32Array.from(this.texts, (text) => text.length);
    const request: ScanRequest = { ids: Int32Array.from(this.ids), lengths, tokens, jobs };
    this.ids = [];
    this.texts = [];
    this.worker.ref();
    this.worker.postMessage(request);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  private start(): Worker {
    // The user's own flags for node (--input-type, --import, ...) are not meant for this thread.
    const worker = new Worker(workerUrl(), { workerData: { most: this.most }, name: 'huacaya-dedupe', execArgv: [] });
    worker.on('message', (parts: ScanReply) => {
      this.waiting.shift()?.resolve(parts);
      // An idle thread does not keep the process alive.
      if (this.waiting.length === 0) worker.unref();
    });
    worker.on('error', (cause) => this.fail(`failed: ${cause.message}`, cause));
    worker.on('exit', (code) => this.fail(`ended (code ${code})`));
    return worker;
  }

  private fail(what: string, cause?: unknown): void {
    this.dead ??= new HuacayaError('DEDUPE_THREAD', `a thread of the dedupe ${what}`, {
      hint: 'Use one thread: the verdicts are the same.',
      cause,
    });
    for (const { reject } of this.waiting.splice(0)) reject(this.dead);
  }

  async close(): Promise<void> {
    this.fail('was closed');
    await this.worker?.terminate();
  }
}

/** @param threads from 2: with one, `scanInPlace` is the same without messages. */
export function scanPool(
  index: RougeIndex,
  most: number,
  threads: number,
  worthPosting: number = pairsWorthPosting,
): Scanner {
  const shares = Array.from({ length: threads }, () => new Share(most));
  const inPlace = scanInPlace(index, most);
  let next = 0;
  return {
    add(tokens) {
      shares[next % threads]!.add(next, tokens);
      next++;
    },
    async scan(jobs) {
      if (jobs.length * next < worthPosting) return inPlace.scan(jobs);
      const parts = await Promise.all(shares.map((share) => share.scan(jobs)));
      return jobs.map((_, k) =>
        mergeParts(
          parts.map((p) => p[k]!),
          most,
        ),
      );
    },
    async close() {
      await Promise.all(shares.map((share) => share.close()));
    },
  };
}
