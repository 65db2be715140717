// Inverted dropout (Srivastava et al. 2014): elements are kept with probability 1 - p and scaled by 1 / (1 - p).
import type { Rng } from '../base/index.ts';

/** @param p probability of dropping; 0 gives ones and needs no generator. */
export function dropoutMask(length: number, p: number, rng: Rng | undefined): Float32Array {
  const mask = new Float32Array(length);
  if (p === 0 || !rng) return mask.fill(1);
  const keep = 1 / (1 - p);
  const threshold = Math.round(p * 0x1_0000_0000);
  for (let i = 0; i < length; i++) mask[i] = rng.uint32() < threshold ? 0 : keep;
  return mask;
}
