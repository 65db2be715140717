// Answers in fp32 against transformers 5.23 on SmolLM2-135M-Instruct: greedy, 32 tokens, and 4 beams, 24 tokens.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { createRuntime } from '../../src/engine/node.ts';
import { beamDefaults, createGenerator, type TextGenerator } from '../../src/infer/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { type ConstantStore, createDecodeEngine } from '../../src/runner/index.ts';
import { ask } from '../helpers/generation.ts';
import { golden, goldenModel, goldenTitle } from './goldenModel.ts';

/** fp32 keeps nothing. */
const store: ConstantStore = {
  find: async () => undefined,
  save: () => Promise.reject(new Error('nothing is to be saved')),
};

describe.skipIf(!goldenModel)(`${goldenTitle}: answers`, () => {
  let runtime: Runtime;
  let generator: TextGenerator;
  let eosId: number;
  beforeAll(async () => {
    runtime = await createRuntime();
    const { config, weights, tokenizer } = await openCheckpoint(goldenModel!);
    eosId = tokenizer.eosId!;
    const sizes = { precision: 'fp32', slots: 5, capacity: 256 } as const;
    const engine = await createDecodeEngine({ runtime, config, weights, store, ...sizes });
    generator = createGenerator({ engine, tokenizer, precision: 'fp32' });
    await weights.close();
  });
  afterAll(async () => {
    await generator?.close();
    await runtime?.close();
  });

  it('greedy: tokens equal, alone and all at once', async () => {
    const wishes = golden.logits.map(({ ids }) => ({ promptIds: ids, maxNewTokens: 32 }));
    const wanted = golden.logits.map((_, i) => golden.greedy32[i]!.ids);
    for (const [i, w] of wishes.entries())
      expect((await ask(generator, w)).ids, golden.logits[i]!.text).toEqual(wanted[i]);
    const together = await Promise.all(wishes.map((w) => ask(generator, w)));
    expect(together.map((a) => a.ids)).toEqual(wanted);
  });

  it.each(golden.logits.map(({ text, ids }, i) => ({ text, ids, expected: golden.beam4_24[i]!.ids })))(
    'beams: tokens equal: $text',
    async ({ ids, expected }) => {
      const beam = { ...beamDefaults, numBeams: 4 };
      const { ids: found, finish } = await ask(generator, { promptIds: ids, maxNewTokens: 24, beam });
      expect(found).toEqual(expected);
      expect(finish).toBe(expected.at(-1) === eosId ? 'eos' : 'length');
    },
  );
});
