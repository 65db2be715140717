// npm run check:quality: what a faster or smaller precision costs. One epoch of the default recipe in each, same rows, same
// order, same seed; then the held-out loss of each adapter in its own precision, and on the exact fp32 model, which is
// what counts for who exports it. results/quality.json is written after each precision: see README.md.
// usage: quality.mjs [--precisions fp32,int8,int4] [--rows 800] [--held-out 100] [--resume] [--threads N]
import { parseArgs } from 'node:util';
import { resolveSettings, targetModules } from '../dist/cli/settings.js';
import { stepCount, train } from '../dist/train/index.js';
import { machine, readResults, writeResults } from './results.mjs';
import {
  environment,
  examplesOf,
  fail,
  heldOutLoss,
  here,
  openModel,
  packsOf,
  readRows,
  round,
  startModel,
  startPass,
} from './setup.mjs';

const { values } = parseArgs({
  options: {
    precisions: { type: 'string', default: 'fp32,int8,int4' },
    rows: { type: 'string', default: '800' },
    'held-out': { type: 'string', default: '100' },
    threads: { type: 'string' },
    resume: { type: 'boolean', default: false },
    'no-record': { type: 'boolean', default: false },
  },
});
const say = (text) => process.stderr.write(`${text}\n`);
const { model: modelPath, data: dataPath } = environment();
const s = await resolveSettings({ flags: { base_model: modelPath, data_path: dataPath, num_epochs: 1 } });
const lora = {
  r: s.lora_r,
  alpha: s.lora_alpha,
  dropout: s.lora_dropout,
  targetModules: targetModules(s.lora_target_modules),
  useRslora: s.use_rslora,
};
const rows = await readRows(dataPath, Number(values.rows), Number(values['held-out']));
if (rows.train.length === 0 || rows.heldOut.length === 0) fail('--rows and --held-out are numbers above 0');

/** Opens the model in a precision, and closes its engine again. */
async function withModel(precision, use) {
  const checkpoint = await openModel(modelPath);
  const examples = await examplesOf(checkpoint, rows.train, s.cutoff_len);
  const heldOut = await examplesOf(checkpoint, rows.heldOut, s.cutoff_len);
  const threads = values.threads ? { threads: Number(values.threads) } : {};
  const model = await startModel(checkpoint, { precision, cutoffLen: s.cutoff_len, packLen: s.pack_len, ...threads });
  try {
    return await use(model, examples, heldOut);
  } finally {
    await model.runtime.close();
  }
}

const trainIn = (precision) =>
  withModel(precision, (model, examples, heldOut) => {
    const plan = { batchSize: s.batch_size, epochs: s.num_epochs };
    const steps = stepCount(examples.length, plan);
    return train({
      ...plan,
      model,
      examples,
      heldOut,
      lora,
      packLength: s.pack_len,
      sharedPrefix: s.shared_prefix,
      learningRate: s.learning_rate,
      schedule: s.lr_scheduler,
      warmupSteps: Math.round(s.warmup_ratio * steps),
      weightDecay: s.weight_decay,
      maxGradNorm: s.max_grad_norm,
      seed: s.seed,
      evalSteps: 0,
      onEvent(e) {
        if (e.type === 'heldOut') say(`${precision}  step ${e.step}  held-out loss ${e.loss.toFixed(4)}`);
        else if (e.type === 'skipped') say(`${precision}  step ${e.step} skipped: ${e.reason}`);
        else if (e.type === 'step' && e.step % 10 === 0)
          say(`${precision}  step ${e.step}/${steps}  loss ${e.loss.toFixed(4)}  eta ${Math.round(e.etaSeconds)} s`);
      },
    });
  });

const onExactModel = (params) =>
  withModel('fp32', async (model, _examples, heldOut) => {
    const { pass } = await startPass(model, lora);
    await pass.setParameters(params);
    return heldOutLoss(pass, packsOf(heldOut, s.pack_len, s.shared_prefix));
  });

const { base_model: _model, data_path: _data, precision: _precision, ...recipe } = s;
const settings = { rows: rows.train.length, heldOutRows: rows.heldOut.length, ...recipe };
const file = here('results/quality.json');
const held = readResults(file);
// Losses of other settings are no comparison.
const results = JSON.stringify(held.settings) === JSON.stringify(settings) ? held.results : {};

const percent = (x, of) => round((x / of - 1) * 100, 3);
/** Per precision: the losses, and how many percent above fp32 they are. */
function summary() {
  const exact = results.fp32?.after;
  const compared = ({ before, after, afterOnFp32Model }) => ({
    before,
    after,
    ...(afterOnFp32Model === undefined ? {} : { afterOnFp32Model }),
    ...(exact === undefined || afterOnFp32Model === undefined
      ? {}
      : { percent: percent(after, exact), percentOnFp32Model: percent(afterOnFp32Model, exact) }),
  });
  return Object.fromEntries(Object.entries(results).map(([name, r]) => [name, compared(r)]));
}

for (const precision of values.precisions.split(',')) {
  if (values.resume && results[precision]) {
    say(`${precision}  is in ${file} already`);
    continue;
  }
  const at = machine();
  const begin = performance.now();
  try {
    const { params, losses, heldOutBefore, heldOutAfter } = await trainIn(precision);
    const minutes = round((performance.now() - begin) / 60000, 1);
    const exact = precision === 'fp32' ? {} : { afterOnFp32Model: await onExactModel(params) };
    const raw = { losses: losses.map((x) => round(x, 5)), minutes, date: new Date().toISOString(), machine: at };
    results[precision] = { before: heldOutBefore, after: heldOutAfter, ...exact, ...raw };
  } catch (e) {
    say(`${precision}  failed: ${e.message}`);
    process.exitCode = 1;
    continue;
  }
  if (!values['no-record']) writeResults(file, { settings, summary: summary(), results });
}
process.stdout.write(`${JSON.stringify(summary(), null, 1)}\n`);
