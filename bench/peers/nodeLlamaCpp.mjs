// The peer of the inference benchmark: node-llama-cpp (llama.cpp in a Node addon) with its own defaults on the processor,
// greedy. Commands as in ../inferOurs.mjs, the protocol is in ../inferChild.mjs.
// HUACAYA_PEER_NODE_LLAMA_CPP names the folder in which it was installed.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { answer, now, round } from '../inferChild.mjs';

const folder = process.env.HUACAYA_PEER_NODE_LLAMA_CPP ?? '';
const root = join(folder, 'node_modules', 'node-llama-cpp');

let context;
let model;
let sequences;

/**
 * Memory mapping, repacking of weights, flash attention ('auto') and batches of 512 are its defaults. No GPU, no build, no
 * download. As many threads as our side.
 */
async function load({ file, threads, positions, slots = 1, flashAttention = 'auto' }) {
  if (!existsSync(root)) throw new Error(`HUACAYA_PEER_NODE_LLAMA_CPP is "${folder}": node-llama-cpp is not in it`);
  const { getLlama } = await import(pathToFileURL(join(root, 'dist', 'index.js')).href);
  const begin = now();
  const notes = [];
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: threads,
    logLevel: 'info',
    logger: (_level, text) => {
      if (/flash attention/i.test(text)) notes.push(text.trim());
    },
  });
  model = await llama.loadModel({ modelPath: file });
  context = await model.createContext({ contextSize: positions, sequences: slots, threads, flashAttention });
  sequences = Array.from({ length: slots }, () => context.getSequence());
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    load_s: round(now() - begin, 3),
    engine: `node-llama-cpp ${version} (llama.cpp ${llama.llamaCppRelease?.release ?? '?'})`,
    settings: `flash attention ${context.flashAttention}, batch ${context.batchSize}, ${context.currentThreads} threads`,
    ...(notes.length > 0 ? { notes: [...new Set(notes)] } : {}),
  };
}

/** One request in a sequence of its own, from an empty cache. */
async function complete(sequence, ids, newTokens) {
  await sequence.clearHistory();
  const begin = now();
  let first;
  const made = [];
  // Its end tokens do not end it: both sides make the same number.
  for await (const id of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    first ??= now();
    made.push(id);
    if (made.length === newTokens) break;
  }
  return { prefill_s: first - begin, decode_s: now() - first, ids: made };
}

/** All prompts at the same time. */
async function generate({ prompts, newTokens }) {
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  const begin = now();
  const requests = await Promise.all(prompts.map((ids, i) => complete(sequences[i], ids, newTokens)));
  const wall = now() - begin;
  lag.disable();
  return { wall_s: wall, lag_p99_ms: lag.percentile(99) / 1e6, lag_max_ms: lag.max / 1e6, requests };
}

/** Its defaults keep 40 tokens. */
const wholeDistribution = { temperature: 1, topK: 0, topP: 1, minP: 0 };

/** Sum of the negative log-likelihoods of ids[from...], each with everything before it. */
async function score({ ids, from }) {
  const [sequence] = sequences;
  await sequence.clearHistory();
  const input = ids.slice(0, -1).map((id, i) => {
    if (i + 1 < from) return id;
    const logits = { filter: { tokens: [ids[i + 1]], includeTop: 1 } };
    return [id, { generateNext: { logits, totalLogitWeight: true, options: wholeDistribution } }];
  });
  const output = await sequence.controlledEvaluate(input);
  let nll = 0;
  for (let i = from; i < ids.length; i++) {
    const { logits, totalLogitWeight } = output[i - 1].next;
    nll -= logits.get(ids[i]) - Math.max(...logits.values()) - Math.log(totalLogitWeight);
  }
  return { nll, tokens: ids.length - from };
}

await answer({ load, generate, score });
