// Our side of the training benchmark: trains on the first rows of a file, in file order, one optimiser step a pack, and
// prints one JSON line with the same fields as peers/peft_bench.py. Runs in a process of its own, so that the peak
// memory is its own.
// usage: trainOurs.mjs MODEL DATA PRECISION [--examples 48] [--cutoff 256] [--pack 1024] [--threads N] [--warmup 1]
//        [--shape 1.1b|7b: random weights of that shape, the tokenizer of MODEL] [--profile: where the time goes]
//        [--shared-prefix true|false] [--recompute] [--one-copy: int8 with one copy of each matrix]

import { createHook } from 'node:async_hooks';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { mergeOps, profileTotals } from '../dist/engine/index.js';
import { initLora } from '../dist/models/index.js';
import { isStepProgram } from '../dist/runner/index.js';
import { createAdamW } from '../dist/train/index.js';
import {
  alpacaLora,
  examplesOf,
  openModel,
  packsOf,
  peakRss,
  readRows,
  round,
  runPack,
  startModel,
  startPass,
} from './setup.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    examples: { type: 'string', default: '48' },
    cutoff: { type: 'string', default: '256' },
    pack: { type: 'string', default: '1024' },
    threads: { type: 'string' },
    warmup: { type: 'string', default: '1' },
    targets: { type: 'string', default: 'q_proj,v_proj' },
    shape: { type: 'string' },
    profile: { type: 'boolean', default: false },
    recompute: { type: 'boolean', default: false },
    'one-copy': { type: 'boolean', default: false },
    'shared-prefix': { type: 'string', default: 'true' },
    blocks: { type: 'boolean', default: false },
  },
});
const [modelPath, dataPath, precision] = positionals;

/** Mean loss of the first and the last quarter of the steps, as the peer tells them. */
function lossEnds(losses) {
  const quarter = Math.max(1, losses.length >> 2);
  const mean = (part) => round(part.reduce((a, b) => a + b, 0) / part.length, 4);
  return { loss_first: mean(losses.slice(0, quarter)), loss_last: mean(losses.slice(-quarter)) };
}

/**
 * The delay of a timer also counts what the operating system does to a thread on a busy machine. Here the longest stretch
 * of our own synchronous work is measured instead (which slows everything down a little).
 */
function blockMeter() {
  let longest = 0;
  let depth = 0;
  let begin = 0;
  const hook = createHook({
    before() {
      if (depth++ === 0) begin = performance.now();
    },
    after() {
      if (--depth === 0) longest = Math.max(longest, performance.now() - begin);
    },
  });
  return { hook, longest: () => longest };
}

/** Seconds of the measured steps: in matrix products, in other kernels, in runs but in no kernel, outside runs. */
async function timeShares(runtime, seconds) {
  const programs = await runtime.profile();
  const totals = profileTotals(programs);
  return {
    outside_products: round(1 - totals.products / seconds, 4),
    seconds: {
      steps: round(seconds, 3),
      products: round(totals.products, 3),
      other_kernels: round(totals.others, 3),
      between_kernels: round(totals.between, 3),
      outside_runs: round(seconds - totals.seconds, 3),
    },
    ops: Object.fromEntries(
      mergeOps(programs.map((p) => p.ops))
        .slice(0, 12)
        .map((o) => [o.op, round(o.seconds, 3)]),
    ),
  };
}

async function main() {
  const cutoffLen = Number(values.cutoff);
  const packLen = Number(values.pack);
  const warmup = Number(values.warmup);
  const checkpoint = await openModel(modelPath, values.shape);
  const { train } = await readRows(dataPath, Number(values.examples));
  const examples = await examplesOf(checkpoint, train, cutoffLen);
  const packs = packsOf(examples, packLen, values['shared-prefix'] === 'true');
  if (packs.length <= warmup) {
    throw new Error(`${examples.length} examples make ${packs.length} packs, and the first ${warmup} are not timed`);
  }
  const loadBegin = performance.now();
  const model = await startModel(checkpoint, {
    precision,
    cutoffLen,
    packLen,
    ...(values.threads ? { threads: Number(values.threads) } : {}),
    recompute: values.recompute,
    ...(values['one-copy'] ? { oneCopy: true } : {}),
    ...(values.profile ? { profile: isStepProgram } : {}),
  });
  const { runtime } = model;
  const lora = { ...alpacaLora, targetModules: values.targets.split(',') };
  const { layout, pass } = await startPass(model, lora, { recompute: values.recompute });
  const params = initLora(layout, 0);
  const optimiser = createAdamW(layout.size);
  await pass.setParameters(params);
  await runtime.sync();
  const loadSeconds = (performance.now() - loadBegin) / 1000;
  const loadRss = peakRss();

  const lag = monitorEventLoopDelay({ resolution: 1 });
  const blocks = blockMeter();
  const losses = [];
  let seconds = 0;
  let tokens = 0;
  let computed = 0;
  let done = 0;
  runtime.countRuns(false);
  for (const [i, pack] of packs.entries()) {
    if (i === warmup) {
      runtime.countRuns(true);
      lag.enable();
      if (values.blocks) blocks.hook.enable();
    }
    const begin = performance.now();
    const { loss, gradients } = await runPack(pass, pack, 1 / pack.targets);
    await optimiser.step(params, gradients, 3e-4);
    await pass.setParameters(params);
    losses.push(loss);
    if (i < warmup) continue;
    seconds += (performance.now() - begin) / 1000;
    tokens += pack.tokens;
    computed += pack.rows;
    done += pack.segments.length;
  }
  lag.disable();
  blocks.hook.disable();
  const profile = values.profile ? await timeShares(runtime, seconds) : undefined;
  const engine = `onnxruntime ${runtime.info.version}`;
  await runtime.close();
  const result = {
    mode: precision,
    examples: examples.length,
    examples_per_s: round(done / seconds, 3),
    useful_tokens_per_s: round(tokens / seconds, 1),
    mean_len: round(examples.reduce((n, e) => n + e.ids.length, 0) / examples.length, 1),
    ids_sum: examples.reduce((n, e) => n + e.ids.reduce((a, b) => a + b, 0), 0),
    steps: packs.length,
    computed_share: round(computed / tokens, 3),
    peak_rss_gb: peakRss(),
    load_peak_rss_gb: loadRss,
    load_s: round(loadSeconds, 1),
    ...lossEnds(losses),
    ...(profile ? { outside_products: profile.outside_products, profile } : {}),
    ...(values.blocks ? { longest_block_ms: round(blocks.longest(), 1) } : {}),
    event_loop_lag_ms: { p99: round(lag.percentile(99) / 1e6, 1), max: round(lag.max / 1e6, 1) },
    engine,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main().catch((e) => {
  process.stderr.write(`${e.code ? `${e.code}: ` : ''}${e.message}\n`);
  process.exit(1);
});
