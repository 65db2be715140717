// Work on several items at a time, results in the order of the items.

/** Results that wait for one before them, for each place: so many may be ahead of the slowest. */
const ahead = 8;

/**
 * At most `width` of the items are worked on at a time. Where one fails, or the loop is left, no other is begun; those
 * that run come to their end first.
 */
export async function* inOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): AsyncGenerator<R, void> {
  const pending: Promise<R>[] = [];
  let next = 0;
  let running = 0;
  let stopped = false;
  const fill = () => {
    while (!stopped && running < width && pending.length < ahead * width && next < items.length) {
      running++;
      const index = next++;
      const done = work(items[index]!, index).finally(() => {
        running--;
        fill();
      });
      done.catch(() => {
        stopped = true;
      });
      pending.push(done);
    }
  };
  try {
    fill();
    while (pending.length > 0) {
      const result = await pending[0]!;
      pending.shift();
      fill();
      yield result;
    }
  } finally {
    stopped = true;
    await Promise.allSettled(pending);
  }
}
