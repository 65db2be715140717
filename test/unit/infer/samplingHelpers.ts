// What the tests of sampling share: options, a random number of one's choice, and a slow, plain reference.
import type { Rng } from '../../../src/base/index.ts';
import { type Candidates, candidatesOfRow, defaultSampling, type SamplingOptions } from '../../../src/infer/index.ts';

/** Sampling at temperature 1, nothing left out. */
export const sampled = (changes: Partial<SamplingOptions> = {}): SamplingOptions => ({
  ...defaultSampling,
  temperature: 1,
  ...changes,
});

/** A stream whose every draw is `u` in [0, 1), all 53 bits of it. */
export function rngOf(u: number): Rng {
  let high = false;
  const scaled = u * 0x1_0000_0000;
  return {
    uint32() {
      high = !high;
      return high ? Math.floor(scaled) : ((scaled - Math.floor(scaled)) * 0x1_0000_0000) >>> 0;
    },
  } as Rng;
}

/** k candidates of a row, with a count of how often the whole row was asked for. */
export function counted(row: Float32Array, k: number, temperature: number, mass?: number) {
  const c = candidatesOfRow(row, k, temperature);
  const count = { rows: 0 };
  const counting: Candidates = {
    ...c,
    ...(mass === undefined ? {} : { mass }),
    async row() {
      count.rows++;
      return row;
    },
  };
  return { c: counting, count };
}

/** Probability of each token [vocab]: straight from the definitions, in doubles. */
export function distribution(row: Float32Array, o: SamplingOptions): number[] {
  const z = Array.from(row);
  const top = Math.max(...z);
  let left = z.map((_, id) => id).sort((a, b) => z[b]! - z[a]! || a - b);
  const weight = (id: number) => Math.exp((z[id]! - top) / o.temperature);
  const total = () => left.reduce((sum, id) => sum + weight(id), 0);
  if (o.topK > 0) left = left.slice(0, o.topK);
  if (o.topP < 1) {
    const enough = o.topP * total();
    let before = 0;
    left = left.filter((id) => {
      const keep = before < enough;
      before += weight(id);
      return keep;
    });
  }
  left = left.filter((id) => weight(id) >= o.minP);
  const all = total();
  return z.map((_, id) => (left.includes(id) ? weight(id) / all : 0));
}
