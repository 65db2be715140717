// Long loops on the main thread hand it back now and then, so that progress, signals and requests are served.

const nextTurn: () => Promise<void> =
  typeof setImmediate === 'function'
    ? () => new Promise((resolve) => setImmediate(resolve))
    : () => new Promise((resolve) => setTimeout(resolve, 0));

/**
 * Returns a function to await inside a loop: it lets other work run once `milliseconds` have passed since it last did.
 */
export function createBreather(milliseconds = 8): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < milliseconds) return;
    await nextTurn();
    last = performance.now();
  };
}
