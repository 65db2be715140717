// Our choice of the next token against the warpers of transformers: what is kept, in which order, and how probable it is.
// Figures: test/fixtures/golden/warpers.json, rows of 50 logits, every case the processors that generate() would build.
import { expect, it } from 'vitest';
import {
  applyAdjustments,
  createAdjustments,
  type SamplingOptions,
  sampleCandidates,
} from '../../../src/infer/index.ts';
import golden from '../../fixtures/golden/warpers.json' with { type: 'json' };
import { counted, rngOf, sampled } from './samplingHelpers.ts';

/** Half of the seen tokens are the prompt's, half the answer's: the repetition penalty does not distinguish them. */
function adjustedRow(row: readonly number[], o: SamplingOptions): Float32Array {
  const a = createAdjustments(o, golden.seen.slice(0, 3));
  for (const id of golden.seen.slice(3)) a?.push(id);
  const logits = Float32Array.from(row);
  return a ? applyAdjustments(logits, a.current()) : logits;
}

const name = ({ kept: _, probabilities: __, ...settings }: (typeof golden.cases)[number]) => JSON.stringify(settings);

/** Float32 and seven digits: so far may our boundaries lie from theirs. */
const slack = 3e-6;

it.each(golden.cases.map((c) => [name(c), c] as const))('%s', async (_, { row, kept, probabilities, ...settings }) => {
  const o = sampled(settings);
  const logits = adjustedRow(golden.rows[row]!, o);
  for (const k of [4, 50]) {
    const { c } = counted(logits, k, o.temperature);
    const at = async (u: number) => (await sampleCandidates(c, o, rngOf(u))).id;
    let below = 0;
    for (const [i, p] of probabilities.entries()) {
      if (p > 3 * slack) {
        expect(await at(below + slack)).toBe(kept[i]);
        expect(await at(below + p - slack)).toBe(kept[i]);
      }
      below += p;
    }
    expect(below).toBeCloseTo(1, 5);
    // The last that is kept: neither one more nor one less.
    const p = probabilities.at(-1)!;
    if (p > 1e-12) expect(await at(1 - p / 2)).toBe(kept.at(-1));
  }
});
