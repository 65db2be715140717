// npm run check:parity: does int8 train as well as fp32? The same rows in the same order in both precisions; then the
// held-out loss of each adapter in its own precision, and of the int8 adapter on the exact fp32 model. Some ten minutes
// on two cores. Settings as in README.md; needs HUACAYA_BENCH_MODEL and HUACAYA_BENCH_DATA with 560 rows or more.
import { parseArgs } from 'node:util';
import { buildExamples, packExamples } from '../dist/data/index.js';
import { loadTemplate, readRecords } from '../dist/data/node.js';
import { createRuntime } from '../dist/engine/node.js';
import { initLora, loraLayout } from '../dist/models/index.js';
import { openCheckpoint } from '../dist/models/node.js';
import { loadModel, TrainingPass } from '../dist/runner/index.js';
import { createAdamW } from '../dist/train/index.js';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '60' }, batch: { type: 'string', default: '8' } },
});
const modelPath = process.env.HUACAYA_BENCH_MODEL;
const dataPath = process.env.HUACAYA_BENCH_DATA;
if (!modelPath || !dataPath) {
  process.stderr.write('Set HUACAYA_BENCH_MODEL and HUACAYA_BENCH_DATA; see bench/README.md.\n');
  process.exit(2);
}
const steps = Number(values.steps);
const batch = Number(values.batch);
const heldOutRows = 80;
const { records } = await readRecords(dataPath);
if (records.length < steps * batch + heldOutRows) {
  process.stderr.write(`${dataPath} has ${records.length} rows, ${steps * batch + heldOutRows} are needed.\n`);
  process.exit(2);
}
const template = await loadTemplate('alpaca');

async function withPass(precision, use) {
  const checkpoint = await openCheckpoint(modelPath);
  const { config, weights, tokenizer } = checkpoint;
  const build = (rows) =>
    buildExamples(rows, template, tokenizer, { cutoffLen: 256, trainOnInputs: false, addEos: true }).examples;
  const runtime = await createRuntime();
  const model = await loadModel({
    runtime,
    config,
    weights,
    precision,
    training: true,
    positions: 256,
    packTokens: 1024,
  });
  await weights.close();
  const targetModules = ['q_proj', 'v_proj'];
  const layout = loraLayout(config, { r: 8, alpha: 16, dropout: 0, targetModules, useRslora: false });
  const pass = await TrainingPass.create(model, layout);
  try {
    return await use(pass, layout, build(records.slice(0, steps * batch)), build(records.slice(-heldOutRows)));
  } finally {
    await runtime.close();
  }
}

async function heldOutLoss(pass, params, examples) {
  await pass.setParameters(params);
  const packs = packExamples(examples, { packLen: 1024 });
  let sum = 0;
  for (const p of packs) sum += await pass.evaluate(p.families);
  return sum / packs.reduce((n, p) => n + p.targets, 0);
}

const trainIn = (precision) =>
  withPass(precision, async (pass, layout, examples, heldOut) => {
    const params = initLora(layout, 0);
    const optimiser = createAdamW(layout.size);
    const before = await heldOutLoss(pass, params, heldOut);
    for (let step = 0; step < steps; step++) {
      const packs = packExamples(examples.slice(step * batch, (step + 1) * batch), { packLen: 1024 });
      const targets = packs.reduce((n, p) => n + p.targets, 0);
      const gradients = new Float32Array(layout.size);
      for (const p of packs) {
        const part = await pass.run(p.segments, 1 / targets);
        for (let i = 0; i < gradients.length; i++) gradients[i] += part.gradients[i];
      }
      await optimiser.step(params, gradients, 3e-4);
      await pass.setParameters(params);
    }
    return { params, before, after: await heldOutLoss(pass, params, heldOut) };
  });

const exact = await trainIn('fp32');
const fast = await trainIn('int8');
const fastOnExact = await withPass('fp32', (pass, _layout, _examples, heldOut) =>
  heldOutLoss(pass, fast.params, heldOut),
);
const percent = (x) => `${((x / exact.after - 1) * 100).toFixed(2)} %`;
process.stdout.write(
  `${JSON.stringify(
    {
      steps,
      heldOutRows,
      fp32: { before: exact.before, after: exact.after },
      int8: { before: fast.before, after: fast.after, againstFp32: percent(fast.after) },
      int8AdapterOnFp32Model: { after: fastOnExact, againstFp32: percent(fastOnExact) },
    },
    null,
    1,
  )}\n`,
);
