// The memory plan against what a process really takes: peak resident memory of trainOurs.mjs, each case in a process of its
// own, beside the estimate. Writes bench/results/memory.json and prints a table.
// usage: memory.mjs [--shape NAME ...] [--threads 2] [--estimate: print what the plan says and what was measured before]
// Model and data as for bench/train.mjs.
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { estimateTraining } from '../dist/runner/index.js';
import { machine, readResults, writeResults } from './results.mjs';
import { alpacaLora, environment, examplesOf, here, openModel, packsOf, readRows, round } from './setup.mjs';

const path = here('results/memory.json');
const cutoff = 256;

/** Three models (the one of the environment, and two shapes with random weights), three settings each. */
const models = [{ name: 'model' }, { name: '350m', shape: '350m' }, { name: '1.1b', shape: '1.1b' }];
const settings = [
  { name: 'int8, kept, pack 1024', precision: 'int8', packTokens: 1024 },
  { name: 'int8 in one copy, recompute, pack 512', precision: 'int8', oneCopy: true, recompute: true, packTokens: 512 },
  { name: 'int4, recompute, pack 512', precision: 'int4', recompute: true, packTokens: 512 },
];

const { values } = parseArgs({
  options: {
    shape: { type: 'string', multiple: true },
    threads: { type: 'string', default: '2' },
    examples: { type: 'string', default: '12' },
    estimate: { type: 'boolean', default: false },
  },
});

async function estimate(env, model, setting) {
  const checkpoint = await openModel(env.model, model.shape);
  const { train } = await readRows(env.data, Number(values.examples));
  const examples = await examplesOf(checkpoint, train, cutoff);
  await checkpoint.weights.close();
  const packs = packsOf(examples, setting.packTokens).map((p) => p.families);
  return estimateTraining(checkpoint.config, { ...setting, lora: alpacaLora, positions: cutoff, packs });
}

function measure(env, model, setting) {
  const args = [here('trainOurs.mjs'), env.model, env.data, setting.precision, '--examples', values.examples];
  args.push('--cutoff', String(cutoff), '--pack', String(setting.packTokens), '--threads', values.threads);
  args.push('--warmup', '0');
  if (model.shape) args.push('--shape', model.shape);
  if (setting.oneCopy) args.push('--one-copy');
  if (setting.recompute) args.push('--recompute');
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

async function main() {
  const env = environment();
  const results = readResults(path);
  for (const model of models.filter((m) => !values.shape || values.shape.includes(m.name))) {
    for (const setting of settings) {
      const name = `${model.name}, ${setting.name}`;
      const plan = await estimate(env, model, setting);
      if (!values.estimate) {
        const made = measure(env, model, setting);
        results[name] = { machine: machine(), peak_rss_gb: made.peak_rss_gb, load_peak_rss_gb: made.load_peak_rss_gb };
      }
      const measured = results[name]?.peak_rss_gb;
      const estimated = round(plan.total / 1e9, 3);
      if (results[name])
        Object.assign(results[name], { estimate_gb: estimated, ratio: round(estimated / measured, 3) });
      const figures = [estimated.toFixed(2), measured?.toFixed(2) ?? '?', results[name]?.ratio.toFixed(2) ?? '?'];
      process.stdout.write(`${name.padEnd(48)} estimate, measured, ratio: ${figures.join('  ')}\n`);
      if (values.estimate) {
        for (const { what, bytes } of plan.rows) {
          process.stdout.write(`  ${what.padEnd(30)} ${(bytes / 1e9).toFixed(3)}\n`);
        }
      }
    }
  }
  if (!values.estimate) writeResults(path, results);
}

await main();
