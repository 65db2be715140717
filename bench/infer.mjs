// npm run bench:infer: generation, ours against node-llama-cpp on the same GGUF file, threads, prompts and lengths.
// Rounds are interleaved (ours, peer, ours, peer, ...), each in a fresh process; figures are medians of rounds.
// With --json one JSON object {measure: {ours, peer, ratio}} on stdout and nothing else. See README.md here.
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { now, round, startChild } from './inferChild.mjs';
import { measures, median } from './inferMeasures.mjs';
import { inferModel } from './inferModels.mjs';
import { machine, mergeResults } from './results.mjs';
import { fail, here } from './setup.mjs';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    runs: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    precision: { type: 'string' },
    'no-record': { type: 'boolean', default: false },
  },
});
const say = (text) => process.stderr.write(`${text}\n`);
const names = Object.keys(measures).filter((n) => !values.only || n.startsWith(values.only));
if (names.length === 0) fail(`--only ${values.only}: known are ${Object.keys(measures).join(' | ')}`);
for (const key of ['runs', 'threads']) {
  if (values[key] !== undefined && !/^[1-9]\d*$/.test(values[key])) fail(`--${key} ${values[key]}: a number above 0`);
}
const sides = { ours: here('inferOurs.mjs') };
if (process.env.HUACAYA_PEER_NODE_LLAMA_CPP) sides.peer = here('peers/nodeLlamaCpp.mjs');
else say('HUACAYA_PEER_NODE_LLAMA_CPP is not set: our side alone, and no ratios');

const threads = Number(values.threads);
const tidy = (x) => Number(x.toPrecision(5));

/** Processor seconds that the whole machine has spent. */
const busySeconds = () =>
  cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;

/** The share of all processors that others use, while a work of ours takes `own(result)` processor seconds. */
async function withOthers(work, own) {
  const [began, busy] = [now(), busySeconds()];
  const result = await work();
  const share = (busySeconds() - busy - own(result)) / ((now() - began) * cpus().length);
  return { result, others: Math.max(0, share) };
}

/** What a repeat asks for: the prompts have other tokens in each round and repeat, so no cache of prefixes helps. */
function repeats(m, prompt, roundIndex) {
  const count = m.repeats * (m.alternate ? 2 : 1);
  return Array.from({ length: count }, (_, i) => {
    const requests = m.alternate && i % 2 === 0 ? 1 : m.requests;
    const index = 1 + (roundIndex * count + i) * m.requests;
    return Array.from({ length: requests }, (_, k) => prompt(index + k, m.promptTokens));
  });
}

/** One run of one side in a process of its own. @returns its number and everything that it was made of. */
async function runSide(side, m, roundIndex) {
  const file = sides[side];
  const model = await inferModel(m.model);
  const setting = { file: model.file, threads, positions: m.positions, slots: m.requests, precision: m.precision };
  // A start has parts in processes that we know nothing of: there the moment before it has to do.
  const before = m.fromStart
    ? await withOthers(
        () => sleep(300),
        () => 0,
      )
    : { others: 0 };
  let { others } = before;
  const begin = now();
  const child = startChild(file);
  const answers = [];
  try {
    const { load_s, settings, engine, notes } = await child.ask({ do: 'load', ...setting });
    const ask = (prompts, newTokens) => child.ask({ do: 'generate', prompts, newTokens });
    if (m.fromStart) {
      answers.push(await ask([model.prompt(roundIndex, m.promptTokens)], m.newTokens));
    } else {
      const first = Array.from({ length: m.requests }, (_, k) => model.prompt(100_000 + k, m.promptTokens));
      await ask(first, Math.min(m.newTokens, 8));
      for (const prompts of repeats(m, model.prompt, roundIndex)) {
        const made = await withOthers(
          () => ask(prompts, m.newTokens),
          (a) => a.cpu_s,
        );
        others = Math.max(others, made.others);
        answers.push(made.result);
      }
    }
    const value = m.fromStart ? now() - begin : m.figure(answers, m);
    const tokens = answers.flatMap((a) => a.requests.map((r) => r.ids));
    const short = tokens.find((ids) => ids.length !== m.newTokens);
    if (short) throw new Error(`${short.length} tokens were made instead of ${m.newTokens}`);
    if (m.promptTokens !== 'chat' && answers.some((a) => a.requests.some((r) => r.cached > 0)))
      throw new Error('a prompt was in a cache');
    return {
      raw: {
        mode: side,
        value: tidy(value),
        load_s,
        peak_rss_gb: answers.at(-1).peak_rss_gb,
        others: round(others, 2),
        distinct: round(median(tokens.map((ids) => new Set(ids).size / ids.length)), 2),
        repeats: answers.map(({ wall_s, lag_p99_ms, lag_max_ms, cpu_s, requests }) => ({
          wall_s: round(wall_s),
          total_tok_s: round((requests.length * m.newTokens) / wall_s, 1),
          prefill_s: round(median(requests.map((r) => r.prefill_s))),
          decode_s: round(median(requests.map((r) => r.decode_s))),
          lag_ms: [round(lag_p99_ms, 1), round(lag_max_ms, 1)],
          cpu_s,
        })),
      },
      engine: { engine, settings, notes },
      tokens: tokens[0],
    };
  } finally {
    await child.close();
  }
}

const primed = new Set();
/** The first load of a model may convert weights and read from disk: it is done once before anything counts. */
async function prime(side, m) {
  const key = [side, m.model, m.precision, m.positions, m.requests].join();
  if (primed.has(key)) return;
  primed.add(key);
  await runSide(side, { ...m, fromStart: true, newTokens: 1 }, 0);
}

/** How many tokens both sides began with. */
function sameStart(a, b) {
  const differ = a.findIndex((id, i) => id !== b[i]);
  return differ < 0 ? a.length : differ;
}

async function measure(name) {
  const m = { ...measures[name], ...(values.precision ? { precision: values.precision } : {}) };
  const runs = Number(values.runs ?? m.runs);
  const at = machine();
  const results = { ours: [], peer: [] };
  for (const side of Object.keys(sides)) await prime(side, m);
  for (let i = 0; i < runs; i++) {
    for (const side of Object.keys(sides)) {
      const result = await runSide(side, m, i);
      results[side].push(result);
      const { value, others } = result.raw;
      say(`round ${i + 1}  ${name.padEnd(16)} ${side}  ${value} ${m.unit}${others > 0.1 ? '  (others are busy)' : ''}`);
    }
  }
  const of = (side) => results[side].map((r) => r.raw.value);
  const both = results.peer.length > 0;
  const summary = {
    ours: tidy(median(of('ours'))),
    peer: both ? tidy(median(of('peer'))) : null,
    ratio: both ? Number(median(of('ours').map((x, i) => x / of('peer')[i])).toFixed(2)) : null,
  };
  const entry = {
    ...summary,
    unit: m.unit,
    better: m.better,
    date: new Date().toISOString(),
    machine: at,
    settings: {
      runs,
      threads,
      model: m.model,
      ...pick(m),
      ours: results.ours[0].engine,
      peer: results.peer[0]?.engine,
    },
    ...(both ? { same_start: results.ours.map((r, i) => sameStart(r.tokens, results.peer[i].tokens)).join(' ') } : {}),
    raw: Object.fromEntries(Object.entries(results).map(([side, list]) => [side, list.map((r) => r.raw)])),
  };
  const others = Math.max(...Object.values(results).flatMap((list) => list.map((r) => r.raw.others)));
  return { summary, entry, others, record: both || m.alone };
}

const pick = ({ precision, positions, requests, promptTokens, newTokens, repeats: times }) => ({
  precision,
  positions,
  requests,
  promptTokens,
  newTokens,
  repeats: times,
});

/** The peer's threads wait by spinning, so it loses far more than we do where processors are taken away. */
const busyWarning = (others) =>
  `others used up to ${Math.round(others * 100)} % of the processors: the peer suffers most from that, do not quote this`;

const output = {};
for (const name of names) {
  try {
    const { summary, entry, others, record } = await measure(name);
    output[name] = summary;
    const { unit, better } = measures[name];
    const compared = summary.peer === null ? 'no peer' : `${summary.peer} peer, ratio ${summary.ratio}x`;
    say(`${name}: ${summary.ours} ${unit} ours, ${compared}${better === 'less' ? ' (less is better)' : ''}`);
    if (others > 0.1) say(`${name}: ${busyWarning(others)}`);
    if (!values['no-record'] && record) mergeResults(here('results/infer.json'), { [name]: entry });
  } catch (e) {
    output[name] = { ours: null, peer: null, ratio: null, failed: e.message };
    process.exitCode = 1;
    say(`${name}: failed: ${e.message}`);
  }
}
if (values.json) {
  process.stdout.write(`${JSON.stringify(output)}\n`);
} else {
  const show = (x) => (x === null ? '-' : String(x));
  for (const [name, { ours, peer, ratio }] of Object.entries(output)) {
    const cells = [show(ours), show(peer), ratio === null ? '-' : `${ratio}x`].map((c) => c.padStart(10));
    process.stdout.write(`${name.padEnd(16)} ${cells.join('')}  ${measures[name].unit}\n`);
  }
}
