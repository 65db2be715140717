// Beam search of 4 beams, 24 tokens, against transformers 5.23 in fp32 on SmolLM2-135M-Instruct.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { createRuntime } from '../../src/engine/node.ts';
import { beamDefaults, beamSearch, passBeamModel } from '../../src/infer/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import { InferencePass, loadModel } from '../../src/runner/index.ts';
import { golden, goldenModel, goldenTitle } from './goldenModel.ts';

describe.skipIf(!goldenModel)(`${goldenTitle}: beam search`, () => {
  let runtime: Runtime;
  let pass: InferencePass;
  let eosId: number;
  beforeAll(async () => {
    runtime = await createRuntime();
    const { config, weights, tokenizer } = await openCheckpoint(goldenModel!);
    eosId = tokenizer.eosId!;
    const options = { runtime, config, weights, precision: 'fp32', training: false, positions: 256 } as const;
    pass = await InferencePass.create(await loadModel(options));
    await weights.close();
  });
  afterAll(() => runtime.close());

  it.each(golden.logits.map(({ text, ids }, i) => ({ text, ids, expected: golden.beam4_24[i]!.ids })))(
    'tokens equal: $text',
    async ({ ids, expected }) => {
      const options = { ...beamDefaults, numBeams: 4, maxNewTokens: 24, eosIds: [eosId] };
      const [best] = await beamSearch(passBeamModel(pass, ids.length + 24), ids, options);
      expect(best!.ids).toEqual(expected);
      expect(best!.finish).toBe(expected.at(-1) === eosId ? 'eos' : 'length');
    },
  );
});
