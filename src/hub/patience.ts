// How often and when a failed transfer is tried again: longer waits each time, as long as the server asks, and not forever.
import { setTimeout as sleep } from 'node:timers/promises';
import { HuacayaError } from '../base/index.ts';
import { BusyError } from './hubStatus.ts';

/** So many new bytes make up for the failures before them: a large file on a bad line needs many tries. */
const PROGRESS_BYTES = 1 << 20;

/** A server that asks for more than this is given up: whoever waits should know. */
const LONGEST_WAIT_MS = 10 * 60_000;

export class Patience {
  readonly #delaysMs: readonly number[];
  readonly #random: () => number;
  #failures = 0;
  #progress = 0;
  /** Nothing is asked before this time; a failure of a request that began before it belongs to the failure that set it. */
  #resumeAt = 0;

  constructor(delaysMs: readonly number[], random: () => number = Math.random) {
    this.#delaysMs = delaysMs;
    this.#random = random;
  }

  /** Says that `bytes` new ones arrived. */
  progress(bytes: number): void {
    this.#progress += bytes;
  }

  /**
   * Decides about a passing failure of a request that began at `startedAt`. Several connections that fail together count once.
   * @returns milliseconds to wait, and whether that is news; throws the error when there were too many.
   */
  failed(error: unknown, startedAt: number, now = Date.now()): { waitMs: number; first: boolean } {
    if (startedAt < this.#resumeAt) return { waitMs: Math.max(0, this.#resumeAt - now), first: false };
    if (this.#progress >= PROGRESS_BYTES) this.#failures = 0;
    this.#progress = 0;
    const delay = this.#delaysMs[this.#failures];
    if (delay === undefined) throw error;
    this.#failures++;
    const asked = error instanceof BusyError ? error.retryAfterMs : undefined;
    if (asked !== undefined && asked > LONGEST_WAIT_MS) {
      throw new HuacayaError(
        'HUB_BUSY',
        `${(error as Error).message}; it asks to wait ${Math.ceil(asked / 60_000)} minutes`,
        {
          hint: 'Run the command again then: it goes on where it stopped.',
          cause: error,
        },
      );
    }
    // Clients that failed together must not come back together.
    const waitMs = Math.ceil(Math.max(delay * (0.75 + 0.5 * this.#random()), asked ?? 0));
    this.#resumeAt = now + waitMs;
    return { waitMs, first: true };
  }
}

/** Waits. @throws the signal's reason. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await sleep(ms, undefined, signal ? { signal } : {}).catch((error) => {
    throw signal?.aborted ? signal.reason : error;
  });
}

/** A wait in words. */
export function seconds(ms: number): string {
  return ms < 950 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}
