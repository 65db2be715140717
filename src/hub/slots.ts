// A number of places that are given out again and again: connections, open files. The lowest rank that waits goes first.

export class Slots {
  #free: number;
  readonly #waiting: { rank: number; start: () => void }[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when there is a place. @throws the signal's reason when it is aborted before. */
  async take(rank = 0, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(signal!.reason);
      };
      const start = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const entry = { rank, start };
      // Behind all of the same rank: among equals the first who came.
      const after = this.#waiting.findIndex((other) => other.rank > rank);
      this.#waiting.splice(after < 0 ? this.#waiting.length : after, 0, entry);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next) next.start();
    else this.#free++;
  }
}
