// Our side of the inference benchmark. Commands (peers/nodeLlamaCpp.mjs has the same, inferChild.mjs is the protocol):
//   load      { file, threads, positions, slots?, precision }     model and engine, ready to answer
//   generate  { prompts: [[ids]], newTokens }                     all at the same time, greedy, of fixed length
//   score     { ids, from }                                       sum of -ln p(ids[i] | before) for i >= from
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadAssistant, storageFrom } from '../dist/assistant/node.js';
import { defaultSampling } from '../dist/infer/index.js';
import { answer, now, round } from './inferChild.mjs';
import { scoreForced } from './inferScore.mjs';

let generator;

async function load({ file, threads, positions, slots = 1, precision }) {
  const begin = now();
  const assistant = await loadAssistant(file, {
    precision,
    threads,
    slots,
    contextLength: positions,
    // Token ids are the prompts here; a random model has no chat template.
    promptTemplateName: 'alpaca',
    storage: await storageFrom(process.env),
    warn: (text) => process.stderr.write(`${text}\n`),
  });
  generator = assistant.generator;
  return { load_s: round(now() - begin, 3), settings: generator.info };
}

/**
 * Without guesses (`speculate`): greedy text of a small model soon repeats itself, that of a random one at once, and the
 * peer does not guess by default either.
 */
async function complete(promptIds, maxNewTokens) {
  const request = { promptIds, maxNewTokens, sampling: defaultSampling, ignoreEos: true, speculate: false };
  const pieces = generator.generate(request);
  let piece = await pieces.next();
  while (!piece.done) piece = await pieces.next();
  const { ids, cachedTokens, prefillSeconds, decodeSeconds } = piece.value;
  return { prefill_s: prefillSeconds, decode_s: decodeSeconds, cached: cachedTokens, ids };
}

async function generate({ prompts, newTokens }) {
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  const begin = now();
  const requests = await Promise.all(prompts.map((ids) => complete(ids, newTokens)));
  const wall = now() - begin;
  lag.disable();
  return { wall_s: wall, lag_p99_ms: lag.percentile(99) / 1e6, lag_max_ms: lag.max / 1e6, requests };
}

const score = async ({ ids, from }) => ({ nll: await scoreForced(generator, ids, from), tokens: ids.length - from });

await answer({ load, generate, score });
