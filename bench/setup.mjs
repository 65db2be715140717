// What the benchmarks of our side share: the model and data that the environment names, shapes with random weights, and
// a training pass on an engine of its own. The only place here that knows how src is put together.
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { buildExamples, packExamples } from '../dist/data/index.js';
import { loadTemplate, readRecords } from '../dist/data/node.js';
import { createRuntime } from '../dist/engine/node.js';
import { configFromJson, loraLayout } from '../dist/models/index.js';
import { openCheckpoint } from '../dist/models/node.js';
import { precisions } from '../dist/quant/index.js';
import { isFrugal, loadModel, TrainingPass } from '../dist/runner/index.js';
import { randomWeights } from './randomWeights.mjs';

export const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Ends the process for want of something that the caller can give. */
export function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

/** Model, data and peer as the environment names them. */
export function environment() {
  const model = process.env.HUACAYA_BENCH_MODEL;
  const data = process.env.HUACAYA_BENCH_DATA ?? here('../examples/in-short.jsonl');
  if (!model || !existsSync(model)) {
    fail('Set HUACAYA_BENCH_MODEL to a model in Hugging Face format (both sides load it); see bench/README.md.');
  }
  if (!existsSync(data)) fail(`HUACAYA_BENCH_DATA is ${data}: no such file; see bench/README.md.`);
  return { model, data, python: process.env.HUACAYA_PEER_PYTHON };
}

/** Training rows, then held-out rows from the end of the file. */
export async function readRows(path, trainRows, heldOutRows = 0) {
  const { records } = await readRecords(path);
  if (heldOutRows > 0 && records.length < trainRows + heldOutRows) {
    fail(`${path} has ${records.length} rows, ${trainRows + heldOutRows} are needed.`);
  }
  return { train: records.slice(0, trainRows), heldOut: heldOutRows > 0 ? records.slice(-heldOutRows) : [] };
}

/** The checkpoint at `path`; with a shape of shapes.json its tokenizer alone, and random weights. */
export async function openModel(path, shape) {
  const checkpoint = await openCheckpoint(path);
  if (!shape) return checkpoint;
  const json = JSON.parse(readFileSync(here('shapes.json'), 'utf8'))[shape];
  if (!json) throw new Error(`shape ${shape}: bench/shapes.json has no such entry`);
  await checkpoint.weights.close();
  const config = configFromJson(`shape ${shape}`, json);
  return { ...checkpoint, config, weights: randomWeights(config) };
}

/** Alpaca's template, loss on the answer only. Token ids beyond the vocabulary of a shape wrap around. */
export async function examplesOf({ tokenizer, config }, records, cutoffLen) {
  const template = await loadTemplate('alpaca');
  const { examples } = buildExamples(records, template, tokenizer, { cutoffLen, trainOnInputs: false, addEos: true });
  const wrap = (ids) => ids.map((id) => (id < 0 ? id : id % config.vocabSize));
  return examples.map((e) => ({ ...e, ids: wrap(e.ids), targets: wrap(e.targets) }));
}

export const alpacaLora = { r: 8, alpha: 16, dropout: 0, targetModules: ['q_proj', 'v_proj'], useRslora: false };

/** A model on an engine of its own. @param setting { precision, cutoffLen, packLen, oneCopy?, recompute?, threads?, profile? } */
export async function startModel({ config, weights }, setting) {
  const { precision, cutoffLen, packLen, profile, threads = availableParallelism() } = setting;
  if (!precisions.includes(precision)) {
    throw new Error(`precision ${precision} is not known to this build, which has ${precisions.join(', ')}`);
  }
  const runtime = await createRuntime({ threads, frugal: isFrugal(setting), ...(profile ? { profile } : {}) });
  try {
    const sizes = { positions: cutoffLen, packTokens: packLen, oneCopy: !!setting.oneCopy };
    const model = await loadModel({ runtime, config, weights, precision, training: true, ...sizes });
    await weights.close();
    return model;
  } catch (e) {
    await runtime.close();
    throw e;
  }
}

/** @param options { recompute? } */
export async function startPass(model, lora, options = {}) {
  const layout = loraLayout(model.config, lora);
  return { layout, pass: await TrainingPass.create(model, layout, options) };
}

export const packsOf = (examples, packLen, sharedPrefix = true) => packExamples(examples, { packLen, sharedPrefix });

/** Loss and gradients of a pack, every target weighing `weight`. */
export const runPack = (pass, pack, weight) => pass.run(pack.families, weight);

/** Mean held-out loss per target, in nats. */
export async function heldOutLoss(pass, packs) {
  let sum = 0;
  for (const p of packs) sum += await pass.evaluate(p.families);
  return sum / packs.reduce((n, p) => n + p.targets, 0);
}

export const round = (x, digits) => Number(x.toFixed(digits));
/** Largest resident memory of this process so far, in GB of 10^9 bytes. */
export const peakRss = () => round((process.resourceUsage().maxRSS * 1024) / 1e9, 2);
