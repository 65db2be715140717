// Draws without replacement.
import type { Rng } from '../../base/index.ts';

/** `n` different items, or all of them in any order where there are fewer. */
export function sample<T>(rng: Rng, items: readonly T[], n: number): T[] {
  const most = Math.min(n, items.length);
  if (most * 2 > items.length) return rng.shuffle([...items]).slice(0, most);
  const chosen = new Set<number>();
  while (chosen.size < most) chosen.add(rng.below(items.length));
  return [...chosen].map((i) => items[i]!);
}
