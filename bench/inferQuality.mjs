// npm run check:infer-quality: what generating in 8 or 4 bits costs. Perplexity of 50 kB of text and greedy answers to 24
// prompts, of the generator in each precision against the exact model in fp32 (other code: the training and inference
// passes). With --json one JSON object on stdout and nothing else. See README.md here.
// usage: inferQuality.mjs [--precisions int8,int4,peer] [--only perplexity|greedy] [--bytes 50000] [--prompts 24]
//        [--threads N] [--json] [--no-record]
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { loadAssistant, storageFrom } from '../dist/assistant/node.js';
import { defaultSampling } from '../dist/infer/index.js';
import { initLora } from '../dist/models/index.js';
import { InferencePass } from '../dist/runner/index.js';
import { round, startChild } from './inferChild.mjs';
import { chatPrompts, ownText } from './inferModels.mjs';
import { scoreForced } from './inferScore.mjs';
import { machine, mergeResults } from './results.mjs';
import { alpacaLora, environment, fail, here, openModel, startModel, startPass } from './setup.mjs';

const { values } = parseArgs({
  options: {
    precisions: { type: 'string', default: 'int8,int4' },
    only: { type: 'string' },
    bytes: { type: 'string', default: '50000' },
    prompts: { type: 'string', default: '24' },
    threads: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
    'no-record': { type: 'boolean', default: false },
  },
});
if (values.only && !['perplexity', 'greedy'].includes(values.only)) fail('--only: perplexity or greedy');
const wanted = (part) => !values.only || values.only === part;
const say = (text) => process.stderr.write(`${text}\n`);
const { model: modelPath } = environment();
const threads = Number(values.threads);
/** A window moves by half of its length, and only its second half is scored: 256 to 511 tokens before each. */
const windowLen = 512;
const stride = 256;
const newTokens = 48;

/** The words of the test: windows of text, and prompts as the chat template puts them. */
async function material() {
  const { tokenizer, weights } = await openModel(modelPath);
  await weights.close();
  const text = Buffer.from(ownText()).subarray(0, Number(values.bytes)).toString();
  const ids = tokenizer.encode(text);
  const windows = [];
  for (let at = 0; at + windowLen <= ids.length; at += stride) windows.push(ids.slice(at, at + windowLen));
  if (windows.length === 0) fail(`--bytes ${values.bytes}: ${ids.length} tokens, a window has ${windowLen}`);
  return {
    tokenizer,
    bytes: Buffer.byteLength(text),
    windows,
    prompts: chatPrompts(tokenizer).slice(0, Number(values.prompts)),
  };
}

const { tokenizer, bytes, windows, prompts } = await material();

/** @param score (ids) => sum of the negative log-likelihoods of ids[stride...]. Windows at a time: `width`. */
async function perplexity(name, score, width) {
  let next = 0;
  let nll = 0;
  const work = async () => {
    while (next < windows.length) {
      const index = next++;
      const part = await score(windows[index]);
      nll += part;
      if (index % 8 === 7) say(`${name}  perplexity: window ${index + 1} of ${windows.length}`);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return Math.exp(nll / (windows.length * (windowLen - stride)));
}

const exactModel = async () => {
  const setting = { precision: 'fp32', cutoffLen: windowLen, packLen: windowLen, threads };
  return startModel(await openModel(modelPath), setting);
};

/** fp32, an adapter without effect on it. */
async function exactPerplexity() {
  const model = await exactModel();
  try {
    const { layout, pass } = await startPass(model, alpacaLora);
    await pass.setParameters(initLora(layout, 0));
    const targetsOf = (ids) => ids.map((_, i) => (i >= stride - 1 && i + 1 < ids.length ? ids[i + 1] : -1));
    const score = (ids) => pass.evaluate([{ ids: Int32Array.from(ids), targets: Int32Array.from(targetsOf(ids)) }]);
    return await perplexity('fp32', score, 1);
  } finally {
    await model.runtime.close();
  }
}

/** Greedy tokens, and by how much the logit of each was ahead of the second. */
async function exactAnswers() {
  const model = await exactModel();
  try {
    const pass = await InferencePass.create(model);
    const answers = [];
    for (const prompt of prompts) {
      const cache = pass.createCache(prompt.length + newTokens);
      const ids = [];
      const margins = [];
      let next = prompt;
      while (ids.length < newTokens) {
        const logits = await pass.advance(cache, next);
        let best = 0;
        for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
        const second = logits.reduce((m, x, i) => (i !== best && x > m ? x : m), -Infinity);
        ids.push(best);
        margins.push(logits[best] - second);
        if (tokenizer.eosIds.includes(best)) break;
        next = [best];
      }
      pass.freeCache(cache);
      answers.push({ ids, margins });
      if (answers.length % 8 === 0) say(`fp32  greedy: ${answers.length} of ${prompts.length}`);
    }
    return answers;
  } finally {
    await model.runtime.close();
  }
}

/**
 * Who is compared with the exact model: { width: how much at a time, score(ids): nats of ids[stride...], answer(promptIds),
 * close }.
 */
async function openOurs(precision) {
  const storage = await storageFrom(process.env);
  const options = { precision, threads, slots: 8, contextLength: windowLen, storage, warn: say };
  const { generator } = await loadAssistant(modelPath, options);
  const used = generator.info.precision;
  if (used !== precision) {
    await generator.close();
    throw new Error(`${precision} was asked for, the generator uses ${used}`);
  }
  return {
    width: generator.info.slots,
    score: (ids) => scoreForced(generator, ids, stride),
    async answer(promptIds) {
      const pieces = generator.generate({ promptIds, maxNewTokens: newTokens, sampling: defaultSampling });
      let piece = await pieces.next();
      while (!piece.done) piece = await pieces.next();
      return piece.value.ids;
    },
    close: () => generator.close(),
  };
}

/** node-llama-cpp on the GGUF file, for a sense of what is usual. */
async function openPeer() {
  const file = process.env.HUACAYA_BENCH_GGUF;
  if (!file) throw new Error('HUACAYA_BENCH_GGUF is not set');
  const child = startChild(here('peers/nodeLlamaCpp.mjs'));
  try {
    await child.ask({ do: 'load', file, threads, positions: 2 * windowLen });
  } catch (e) {
    await child.close();
    throw e;
  }
  return {
    width: 1,
    score: async (ids) => (await child.ask({ do: 'score', ids, from: stride })).nll,
    async answer(ids) {
      const { requests } = await child.ask({ do: 'generate', prompts: [ids], newTokens });
      const made = requests[0].ids;
      const end = made.findIndex((id) => tokenizer.eosIds.includes(id));
      return end < 0 ? made : made.slice(0, end + 1);
    },
    close: () => child.close(),
  };
}

/** Where an answer leaves the exact one, and how sure the exact model was there. */
function compare(ids, exact) {
  const at = exact.ids.findIndex((id, i) => id !== ids[i]);
  if (at < 0) return undefined;
  const words = (list) => tokenizer.decode(list.slice(at, at + 6));
  return { at, margin: round(exact.margins[at], 3), exact: words(exact.ids), instead: words(ids) };
}

/** Answers that are the exact ones for so many tokens; the last is the whole. */
const lengths = [16, 32, newTokens];

async function greedy(precision, subject) {
  const made = await Promise.all(prompts.map((p) => subject.answer(p)));
  const differences = made.flatMap((ids, prompt) => {
    const found = compare(ids, exact.answers[prompt]);
    return found ? [{ mode: precision, prompt, ...found }] : [];
  });
  const equalFor = (n) => prompts.length - differences.filter((d) => d.at < n).length;
  const equal = Object.fromEntries(lengths.map((n) => [n, equalFor(n)]));
  return { summary: { prompts: prompts.length, equal }, more: { closest: closest.join(' '), differences } };
}

async function perplexityOf(precision, subject) {
  const value = await perplexity(precision, subject.score, subject.width);
  const percent = round((value / exact.perplexity - 1) * 100, 3);
  return { summary: { perplexity: round(value), percent, fp32: round(exact.perplexity) }, more: {} };
}

const at = machine();
const exact = {
  answers: wanted('greedy') ? await exactAnswers() : undefined,
  perplexity: wanted('perplexity') ? await exactPerplexity() : undefined,
};
/** By how little the exact model decided, in each answer: an error of that size between two logits changes the answer. */
const closest = exact.answers?.map(({ margins }) => round(Math.min(...margins), 3)).sort((a, b) => a - b);
if (closest) say(`fp32  greedy: smallest lead of a token over the next, by answer: ${closest.join(' ')}`);
if (exact.perplexity) say(`fp32  perplexity ${round(exact.perplexity)} (${windows.length} windows)`);

const parts = {
  greedy: { of: greedy, settings: { prompts: prompts.length, newTokens, threads } },
  perplexity: { of: perplexityOf, settings: { bytes, windows: windows.length, windowLen, stride, threads } },
};
const output = {};
for (const precision of values.precisions.split(',')) {
  output[precision] = {};
  try {
    const subject = await (precision === 'peer' ? openPeer() : openOurs(precision));
    try {
      for (const [name, part] of Object.entries(parts)) {
        if (!wanted(name)) continue;
        const { summary, more } = await part.of(precision, subject);
        say(`${precision}  ${name}: ${JSON.stringify(summary)}`);
        output[precision][name] = summary;
        const facts = { date: new Date().toISOString(), machine: at, settings: part.settings };
        const entry = { [`${precision} ${name}`]: { ...summary, ...facts, ...more } };
        if (!values['no-record']) mergeResults(here('results/inferQuality.json'), entry);
      }
    } finally {
      await subject.close();
    }
  } catch (e) {
    output[precision].failed = e.message;
    process.exitCode = 1;
    say(`${precision}  failed: ${e.message}`);
  }
}
if (values.json) {
  process.stdout.write(`${JSON.stringify(output)}\n`);
} else {
  for (const [precision, { greedy: g, perplexity: p, failed }] of Object.entries(output)) {
    const cells = [];
    if (p) cells.push(`perplexity ${p.perplexity}, fp32 ${p.fp32}: ${p.percent} %`);
    if (g) cells.push(`${g.equal[newTokens]} of ${g.prompts} answers as in fp32`);
    if (failed) cells.push(`failed: ${failed}`);
    process.stdout.write(`${precision.padEnd(6)} ${cells.join('; ')}\n`);
  }
}
