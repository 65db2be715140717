// Hands values from one side that produces them at its own pace to another that waits for them.

export interface Channel<T> {
  push(value: T): void;
  /** Nothing more comes; `error` is thrown to the reader after what was pushed before. The first call counts. */
  end(error?: unknown): void;
  /** The next value; undefined at the end. One reader at a time. */
  next(): Promise<T | undefined>;
}

export function createChannel<T>(): Channel<T> {
  const values: T[] = [];
  let ended = false;
  let failure: unknown;
  let wake: (() => void) | undefined;
  const signal = () => {
    wake?.();
    wake = undefined;
  };
  return {
    push(value) {
      values.push(value);
      signal();
    },
    end(error) {
      if (ended) return;
      ended = true;
      failure = error;
      signal();
    },
    async next() {
      for (;;) {
        if (values.length > 0) return values.shift();
        if (failure !== undefined) throw failure;
        if (ended) return undefined;
        await new Promise<void>((go) => {
          wake = go;
        });
      }
    },
  };
}
