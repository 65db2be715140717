// Our side of the training benchmark: trains on the first rows of a file, in file order, one optimiser step a pack, and
// prints one JSON line with the same fields as peers/peft_bench.py. Runs in a process of its own, so that the peak
// memory is its own.
// usage: trainOurs.mjs MODEL DATA fp32|int8 [--examples 48] [--cutoff 256] [--pack 1024] [--threads N] [--warmup 1]

import { createHook } from 'node:async_hooks';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { buildExamples, packExamples } from '../dist/data/index.js';
import { loadTemplate, readRecords } from '../dist/data/node.js';
import { createRuntime } from '../dist/engine/node.js';
import { initLora, loraLayout } from '../dist/models/index.js';
import { openCheckpoint } from '../dist/models/node.js';
import { loadModel, TrainingPass } from '../dist/runner/index.js';
import { createAdamW } from '../dist/train/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    examples: { type: 'string', default: '48' },
    cutoff: { type: 'string', default: '256' },
    pack: { type: 'string', default: '1024' },
    threads: { type: 'string' },
    warmup: { type: 'string', default: '1' },
    targets: { type: 'string', default: 'q_proj,v_proj' },
    blocks: { type: 'boolean', default: false },
  },
});
const [modelPath, dataPath, precision] = positionals;
const cutoffLen = Number(values.cutoff);
const packLen = Number(values.pack);
const warmup = Number(values.warmup);

const checkpoint = await openCheckpoint(modelPath);
const { records } = await readRecords(dataPath);
const { examples } = buildExamples(
  records.slice(0, Number(values.examples)),
  await loadTemplate('alpaca'),
  checkpoint.tokenizer,
  { cutoffLen, trainOnInputs: false, addEos: true },
);
const runtime = await createRuntime(values.threads ? { threads: Number(values.threads) } : {});
const model = await loadModel({
  runtime,
  config: checkpoint.config,
  weights: checkpoint.weights,
  precision,
  training: true,
  positions: cutoffLen,
  packTokens: packLen,
});
await checkpoint.weights.close();
const layout = loraLayout(checkpoint.config, {
  r: 8,
  alpha: 16,
  dropout: 0,
  targetModules: values.targets.split(','),
  useRslora: false,
});
const pass = await TrainingPass.create(model, layout);
const params = initLora(layout, 0);
const optimiser = createAdamW(layout.size);
await pass.setParameters(params);

const lag = monitorEventLoopDelay({ resolution: 1 });
// The delay of a timer also counts what the operating system does to a thread on a busy machine. With --blocks the
// longest stretch of our own synchronous work is measured instead (which slows everything down a little).
let longestBlock = 0;
let depth = 0;
let blockBegin = 0;
const blocks = createHook({
  before() {
    if (depth++ === 0) blockBegin = performance.now();
  },
  after() {
    if (--depth === 0) longestBlock = Math.max(longestBlock, performance.now() - blockBegin);
  },
});
const packs = packExamples(examples, packLen);
const losses = [];
let seconds = 0;
let tokens = 0;
let done = 0;
for (const [i, pack] of packs.entries()) {
  const begin = performance.now();
  if (i === warmup) {
    lag.enable();
    if (values.blocks) blocks.enable();
  }
  const { loss, gradients } = await pass.run(pack.segments, 1 / pack.targets);
  await optimiser.step(params, gradients, 3e-4);
  await pass.setParameters(params);
  losses.push(loss);
  if (i < warmup) continue;
  seconds += (performance.now() - begin) / 1000;
  tokens += pack.tokens;
  done += pack.segments.length;
}
lag.disable();
blocks.disable();
await runtime.close();
const quarter = Math.max(1, losses.length >> 2);
const mean = (part) => part.reduce((a, b) => a + b, 0) / part.length;
const round = (x, digits) => Number(x.toFixed(digits));
process.stdout.write(
  `${JSON.stringify({
    mode: precision,
    examples: examples.length,
    examples_per_s: round(done / seconds, 3),
    useful_tokens_per_s: round(tokens / seconds, 1),
    mean_len: round(examples.reduce((n, e) => n + e.ids.length, 0) / examples.length, 1),
    peak_rss_gb: round(process.resourceUsage().maxRSS / 1e6, 2),
    loss_first: round(mean(losses.slice(0, quarter)), 4),
    loss_last: round(mean(losses.slice(-quarter)), 4),
    ...(values.blocks ? { longest_block_ms: round(longestBlock, 1) } : {}),
    event_loop_lag_ms: { p99: round(lag.percentile(99) / 1e6, 1), max: round(lag.max / 1e6, 1) },
  })}\n`,
);
