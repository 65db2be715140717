// The rows held out for validation, and the order of the rows in an epoch: both functions of the seed alone.
import { createRng, type Rng, usageError } from '../base/index.ts';

/**
 * Splits off a random validation set; both parts keep the order of `items`.
 * @param valSetSize a count, or a fraction in (0, 1) of the rows (rounded, at least one row); 0 = none.
 * @throws HuacayaError USAGE when it is neither, or leaves no row to train on.
 */
export function splitRecords<T>(items: readonly T[], valSetSize: number, rng: Rng): { train: T[]; val: T[] } {
  const isFraction = valSetSize > 0 && valSetSize < 1;
  if (!isFraction && !(Number.isInteger(valSetSize) && valSetSize >= 0)) {
    throw usageError(
      `the validation set size is ${valSetSize}, but it must be a whole number of rows or a fraction between 0 and 1`,
    );
  }
  const count = isFraction ? Math.max(1, Math.round(valSetSize * items.length)) : valSetSize;
  if (count > 0 && count >= items.length) {
    throw usageError(
      `the validation set would take ${count} rows, but there are only ${items.length}: at least one must be left to train on`,
      'Choose a smaller validation set, or 0 for none.',
    );
  }
  const order = rng.shuffle(items.map((_, index) => index));
  const held = new Set(order.slice(0, count));
  return { train: items.filter((_, i) => !held.has(i)), val: items.filter((_, i) => held.has(i)) };
}

/** The shuffled indices 0..n-1 for an epoch; any epoch can be had without the ones before it, which resuming needs. */
export function epochOrder(n: number, seed: number, epoch: number): number[] {
  const order = Array.from({ length: n }, (_, index) => index);
  return createRng(seed).fork(`epoch ${epoch}`).shuffle(order);
}
