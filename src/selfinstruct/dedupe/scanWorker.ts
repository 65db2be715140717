// A thread of the scan pool: holds a share of the texts and scans it. Started by scanPool.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { BitPattern } from './bitPattern.ts';
import { LengthStore } from './lengthStore.ts';
import { scan } from './scan.ts';
import type { ScanReply, ScanRequest } from './scanProtocol.ts';

const { most } = workerData as { most: number };
const store = new LengthStore();
const pattern = new BitPattern();

parentPort!.on('message', ({ ids, lengths, tokens, jobs }: ScanRequest) => {
  let at = 0;
  for (const [k, id] of ids.entries()) {
    store.add(id, tokens.subarray(at, at + lengths[k]!));
    at += lengths[k]!;
  }
  parentPort!.postMessage(jobs.map((job) => scan(store, pattern, job, most)) satisfies ScanReply);
});
