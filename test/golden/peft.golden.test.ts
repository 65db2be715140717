// Our adapter folder loaded by PEFT itself. Needs HUACAYA_PEER_PYTHON (torch, transformers, peft) and HUACAYA_BENCH_MODEL
// (a model in Hugging Face format, which both sides load).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { createRuntime } from '../../src/engine/node.ts';
import { loraLayout, moduleNames } from '../../src/models/index.ts';
import { openCheckpoint, saveAdapter } from '../../src/models/node.ts';
import { InferencePass, loadModel } from '../../src/runner/index.ts';

const python = process.env.HUACAYA_PEER_PYTHON;
const folder = process.env.HUACAYA_BENCH_MODEL;

it.skipIf(!python || !folder).each([
  { r: 8, alpha: 16, useRslora: false, targetModules: ['q_proj', 'v_proj'] as const },
  { r: 4, alpha: 8, useRslora: true, targetModules: moduleNames },
])('PeftModel.from_pretrained gives our logits within 2e-3: r $r, rsLoRA $useRslora', async (settings) => {
  const place = mkdtempSync(join(tmpdir(), 'huacaya-peft-'));
  const runtime = await createRuntime();
  try {
    const { config, weights, tokenizer } = await openCheckpoint(folder!);
    const layout = loraLayout(config, { ...settings, dropout: 0 });
    const params = Float32Array.from({ length: layout.size }, (_, i) => 0.02 * Math.sin(0.7311 * i));
    await saveAdapter(join(place, 'adapter'), { layout, params, baseModel: folder! });

    const model = await loadModel({ runtime, config, weights, precision: 'fp32', training: false, positions: 256 });
    await weights.close();
    const pass = await InferencePass.create(model);
    const ids = tokenizer.encode('Alpacas are kept in herds that graze on the level heights of the Andes.');
    const ours = await pass.advance(pass.createCache(ids.length), ids, await pass.loadAdapter({ layout, params }));
    const script = fileURLToPath(new URL('../../bench/peers/peft_logits.py', import.meta.url));
    const call = [script, folder!, join(place, 'adapter'), ids.join()];
    const theirs: number[] = JSON.parse(execFileSync(python!, call, { maxBuffer: 1 << 26, encoding: 'utf8' }));
    const worst = theirs.reduce((most, x, i) => Math.max(most, Math.abs(x - ours[i]!)), 0);
    expect(theirs.length).toBe(ours.length);
    expect(worst).toBeLessThan(2e-3);
  } finally {
    await runtime.close();
    rmSync(place, { recursive: true, force: true });
  }
});
