// What a pipeline asks of a dedupe: is this text too near to one that is in, and which are the nearest?

export interface Neighbour {
  text: string;
  /** Similarity, 0 to 1. */
  score: number;
}

export interface Verdict {
  duplicate: boolean;
  /** At most 10, nearest first; with a duplicate at least the one that decided. */
  nearest: readonly Neighbour[];
  /** Mean similarity to everything that is in; undefined for a duplicate, which is not stored. */
  mean?: number;
}

export interface Dedupe {
  readonly size: number;
  /** Compares with all texts that were added before the call; does not add. */
  check(text: string): Promise<Verdict>;
  add(text: string): void;
  close(): Promise<void>;
}

export interface BatchDedupe extends Dedupe {
  /**
   * For the texts of one reply: `check` each in order, and `add` it if it is no duplicate before the next is checked. The
   * same verdicts as one by one, but one round trip to the worker threads.
   */
  admit(texts: readonly string[]): Promise<Verdict[]>;
}
