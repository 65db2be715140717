// The part of dedupe that needs Node: the same verdicts with worker threads.
import { availableParallelism } from 'node:os';
import { usageError } from '../../base/index.ts';
import { createRougeDedupe } from './rougeDedupe.ts';
import type { RougeOptions } from './rougeOptions.ts';
import { scanPool } from './scanPool.ts';
import type { BatchDedupe } from './types.ts';

export interface ThreadedRougeOptions extends RougeOptions {
  /** Worker threads for exact details; default: one a core, at most 2. With 1 everything happens in the calling thread. */
  threads?: number;
}

/**
 * As `createRougeDedupe`, verdicts included bit by bit. Only `exact` details use the threads: the index decides in
 * microseconds. They start when there is enough to do for them; `close` ends them.
 * @throws HuacayaError USAGE for options out of range; `check` and `admit` DEDUPE_THREAD when a thread cannot run.
 */
export function createThreadedRougeDedupe(
  options: ThreadedRougeOptions = {},
  texts: Iterable<string> = [],
): BatchDedupe {
  const { threads = Math.min(2, availableParallelism()), ...rest } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw usageError(`threads is ${threads}`, 'Use a whole number from 1.');
  }
  if (threads === 1 || (rest.details ?? 'exact') !== 'exact') return createRougeDedupe(rest, texts);
  return createRougeDedupe(rest, texts, (index, most) => scanPool(index, most, threads));
}
