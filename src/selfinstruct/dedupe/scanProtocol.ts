// What the pool and its threads tell each other.
import type { ScanJob, ScanPart } from './scan.ts';

/** To a thread: texts of its share that were added since the last message, and what to scan then. */
export interface ScanRequest {
  /** Ids of the texts, ascending. */
  ids: Int32Array;
  lengths: Int32Array;
  /** Their tokens, one text after the other. */
  tokens: Int32Array;
  jobs: readonly ScanJob[];
}

/** From a thread: a part for each job, in order. */
export type ScanReply = ScanPart[];
