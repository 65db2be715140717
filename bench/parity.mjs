// npm run check:parity: does int8 train as well as fp32? The same rows in the same order in both precisions; then the
// held-out loss of each adapter in its own precision, and of the int8 adapter on the exact fp32 model. Some ten minutes
// on two cores. Settings as in README.md; needs HUACAYA_BENCH_MODEL and HUACAYA_BENCH_DATA with 560 rows or more.
// usage: parity.mjs [--steps 60] [--batch 8] [--held-out 80]
import { parseArgs } from 'node:util';
import { initLora } from '../dist/models/index.js';
import { createAdamW } from '../dist/train/index.js';
import {
  alpacaLora,
  environment,
  examplesOf,
  heldOutLoss,
  openModel,
  packsOf,
  readRows,
  runPack,
  startModel,
  startPass,
} from './setup.mjs';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '60' },
    batch: { type: 'string', default: '8' },
    'held-out': { type: 'string', default: '80' },
  },
});
const steps = Number(values.steps);
const batch = Number(values.batch);
const heldOutRows = Number(values['held-out']);
const cutoffLen = 256;
const packLen = 1024;
const { model: modelPath, data: dataPath } = environment();
const rows = await readRows(dataPath, steps * batch, heldOutRows);

async function withPass(precision, use) {
  const checkpoint = await openModel(modelPath);
  const examples = await examplesOf(checkpoint, rows.train, cutoffLen);
  const heldOut = packsOf(await examplesOf(checkpoint, rows.heldOut, cutoffLen), packLen);
  const model = await startModel(checkpoint, { precision, cutoffLen, packLen });
  try {
    const { layout, pass } = await startPass(model, alpacaLora);
    const evaluate = async (params) => {
      await pass.setParameters(params);
      return heldOutLoss(pass, heldOut);
    };
    return await use({ pass, layout, examples, evaluate });
  } finally {
    await model.runtime.close();
  }
}

const trainIn = (precision) =>
  withPass(precision, async ({ pass, layout, examples, evaluate }) => {
    const params = initLora(layout, 0);
    const optimiser = createAdamW(layout.size);
    const before = await evaluate(params);
    for (let step = 0; step < steps; step++) {
      const packs = packsOf(examples.slice(step * batch, (step + 1) * batch), packLen);
      const targets = packs.reduce((n, p) => n + p.targets, 0);
      const gradients = new Float32Array(layout.size);
      for (const p of packs) {
        const part = await runPack(pass, p, 1 / targets);
        for (let i = 0; i < gradients.length; i++) gradients[i] += part.gradients[i];
      }
      await optimiser.step(params, gradients, 3e-4);
      await pass.setParameters(params);
    }
    return { params, before, after: await evaluate(params) };
  });

const exact = await trainIn('fp32');
const fast = await trainIn('int8');
const fastOnExact = await withPass('fp32', ({ evaluate }) => evaluate(fast.params));
const percent = (x) => `${((x / exact.after - 1) * 100).toFixed(2)} %`;
const report = {
  steps,
  heldOutRows,
  fp32: { before: exact.before, after: exact.after },
  int8: { before: fast.before, after: fast.after, againstFp32: percent(fast.after) },
  int8AdapterOnFp32Model: { after: fastOnExact, againstFp32: percent(fastOnExact) },
};
process.stdout.write(`${JSON.stringify(report, null, 1)}\n`);
