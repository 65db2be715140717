// Our numbers against transformers 5.23 and PEFT 0.21 in fp32 on SmolLM2-135M-Instruct, and int8 against our fp32.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/engine/index.ts';
import { createRuntime } from '../../src/engine/node.ts';
import { argmax } from '../../src/infer/index.ts';
import { type LoraLayout, loraLayout, loraTensorName } from '../../src/models/index.ts';
import { type Checkpoint, openCheckpoint } from '../../src/models/node.ts';
import type { Precision } from '../../src/quant/index.ts';
import { InferencePass, loadModel, TrainingPass } from '../../src/runner/index.ts';
import { createAdamW } from '../../src/train/index.ts';
import { golden, goldenModel, goldenTitle } from './goldenModel.ts';

const seed = { q_proj: 0, v_proj: 100 } as Record<string, number>;

/** The adapter of the golden run: element i of a tensor is 0.02 sin(0.7311 i + s). */
function goldenAdapter(layout: LoraLayout): Float32Array {
  const params = new Float32Array(layout.size);
  for (const t of layout.tensors) {
    const s = t.layer + seed[t.module]! + (t.kind === 'B' ? 1000 : 0);
    for (let i = 0; i < t.shape[0] * t.shape[1]; i++) params[t.offset + i] = 0.02 * Math.sin(0.7311 * i + s);
  }
  return params;
}

const sequences = golden.lora.rows.map((row) => {
  const ids = Int32Array.from([...row.prompt_ids, ...row.response_ids]);
  const targets = new Int32Array(ids.length).fill(-1);
  for (let i = row.prompt_ids.length - 1; i < ids.length - 1; i++) targets[i] = ids[i + 1]!;
  return { ids, targets };
});
const targetCount = golden.lora.rows.reduce((n, r) => n + r.response_ids.length, 0);

const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0) / (norm(a) * norm(b));

async function goldenPass(runtime: Runtime, precision: Precision) {
  const { config, weights } = await openCheckpoint(goldenModel!);
  const model = await loadModel({ runtime, config, weights, precision, training: true, positions: 256 });
  await weights.close();
  const targetModules = ['q_proj', 'v_proj'] as const;
  const layout = loraLayout(config, { r: 8, alpha: 16, dropout: 0, targetModules, useRslora: false });
  return { layout, pass: await TrainingPass.create(model, layout) };
}

describe.skipIf(!goldenModel)(`${goldenTitle}: fp32`, () => {
  let runtime: Runtime;
  let checkpoint: Checkpoint;
  let inference: InferencePass;
  beforeAll(async () => {
    runtime = await createRuntime();
    checkpoint = await openCheckpoint(goldenModel!);
    const { config, weights } = checkpoint;
    inference = await InferencePass.create(
      await loadModel({ runtime, config, weights, precision: 'fp32', training: false, positions: 256 }),
    );
  });
  afterAll(async () => {
    await checkpoint.weights.close();
    await runtime.close();
  });

  it('tokenises every string to the same ids', () => {
    for (const { text, ids } of golden.tokenize) expect(checkpoint.tokenizer.encode(text), text).toEqual(ids);
  });

  it.each(golden.logits.map((l, i) => ({ ...l, greedy: golden.greedy32[i]!.ids })))(
    'logits within 2e-3, greedy tokens equal: $text',
    async ({ ids, last_top10_ids, last_top10_logits, greedy }) => {
      const cache = inference.createCache(ids.length + 32);
      let logits = await inference.advance(cache, ids);
      last_top10_ids.forEach((id, i) => {
        expect(Math.abs(logits[id]! - last_top10_logits[i]!)).toBeLessThan(2e-3);
      });
      const made: number[] = [];
      while (made.length < 32) {
        made.push(argmax(logits));
        if (checkpoint.tokenizer.eosIds.includes(made.at(-1)!)) break;
        logits = await inference.advance(cache, made.slice(-1));
      }
      inference.freeCache(cache);
      expect(made).toEqual(greedy);
    },
  );
});

describe.skipIf(!goldenModel)(`${goldenTitle}: training`, () => {
  let exact: Float32Array;
  let exactLoss: number;

  it('fp32: mean NLL within 1e-4, losses of 6 steps within 2e-4, gradient norms within 1e-3', async () => {
    const runtime = await createRuntime();
    const { layout, pass } = await goldenPass(runtime, 'fp32');
    await pass.setParameters(new Float32Array(layout.size));
    for (const { ids, mean_nll } of golden.logits) {
      const sequence = { ids: Int32Array.from(ids), targets: Int32Array.from([...ids.slice(1), -1]) };
      expect(Math.abs((await pass.evaluate([sequence])) / (ids.length - 1) - mean_nll)).toBeLessThan(1e-4);
    }
    const params = goldenAdapter(layout);
    const optimiser = createAdamW(layout.size);
    for (const [step, expected] of golden.lora.loss_per_step.entries()) {
      await pass.setParameters(params);
      const { loss, gradients } = await pass.run(sequences, 1 / targetCount);
      expect(Math.abs(loss / expected - 1), `step ${step}`).toBeLessThan(2e-4);
      if (step === 0) {
        exact = gradients.slice();
        exactLoss = loss;
        expect(Math.abs(norm(gradients) / golden.lora.grad_norm_total - 1)).toBeLessThan(1e-3);
        const expectedNorms = golden.lora.grad_norms as Record<string, number>;
        let compared = 0;
        for (const t of layout.tensors) {
          const reference = expectedNorms[loraTensorName(t).replace('base_model.model.', '')];
          if (reference === undefined) continue;
          compared++;
          const own = norm(gradients.subarray(t.offset, t.offset + t.shape[0] * t.shape[1]));
          expect(Math.abs(own / reference - 1), loraTensorName(t)).toBeLessThan(1e-3);
        }
        expect(compared).toBe(Object.keys(expectedNorms).length);
      }
      await optimiser.step(params, gradients, 3e-4);
    }
    await runtime.close();
  });

  it('int8: loss within 1 % of fp32, cosine of the whole gradient at least 0.98', async () => {
    const runtime = await createRuntime();
    const { layout, pass } = await goldenPass(runtime, 'int8');
    await pass.setParameters(goldenAdapter(layout));
    const { loss, gradients } = await pass.run(sequences, 1 / targetCount);
    expect(Math.abs(loss / exactLoss - 1)).toBeLessThan(0.01);
    expect(cosine(gradients, exact)).toBeGreaterThan(0.98);
    await runtime.close();
  });
});
