// npm run bench:train: training speed and memory on a real model and real rows, ours against PyTorch + PEFT.
// Runs are interleaved (ours, peer, ours, peer, ...): shared machines drift, so only ratios of such runs count.
// With --json one JSON object {measure: {ours, peer, ratio}} on stdout and nothing else. See README.md here.
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs, promisify } from 'node:util';
import { measures } from './measures.mjs';
import { machine, mergeResults } from './results.mjs';
import { environment, fail, here } from './setup.mjs';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    runs: { type: 'string' },
    examples: { type: 'string' },
    pack: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    'no-record': { type: 'boolean', default: false },
  },
});
const say = (text) => process.stderr.write(`${text}\n`);
const { model, data, python } = environment();
const names = Object.keys(measures).filter((n) => !values.only || n.startsWith(values.only));
if (names.length === 0) fail(`--only ${values.only}: known are ${Object.keys(measures).join(' | ')}`);
for (const key of ['runs', 'examples', 'pack', 'threads']) {
  if (values[key] !== undefined && !/^[1-9]\d*$/.test(values[key])) fail(`--${key} ${values[key]}: a number above 0`);
}

/** A measure with the command line's settings, and the command of each side. */
function plan(name) {
  const m = measures[name];
  const settings = {
    ...(m.shape ? { shape: m.shape } : {}),
    examples: Number(values.examples ?? m.examples),
    cutoff: m.cutoff,
    pack: Number(values.pack ?? m.pack),
    threads: Number(values.threads),
  };
  const common = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const ours = [process.execPath, here('trainOurs.mjs'), model, data, m.ours, ...common, ...(m.flags ?? [])];
  const peer = m.peer && python ? [python, here('peers/peft_bench.py'), model, data, m.peer, ...common] : undefined;
  return { ...m, name, settings, runs: Number(values.runs ?? m.runs ?? 5), sides: { ours, peer } };
}

const run = promisify(execFile);
/** A command's last line of output, which is its result. @throws Error with the last line it said when it failed. */
async function resultOf([command, ...args]) {
  try {
    const { stdout } = await run(command, args, { maxBuffer: 1 << 26 });
    return JSON.parse(stdout.trim().split('\n').at(-1));
  } catch (e) {
    const said = e.stderr?.trim().split('\n').at(-1);
    if (said) throw new Error(said);
    throw new Error(e.signal ? `ended by ${e.signal}: out of memory?` : `${command} gave no result (code ${e.code})`);
  }
}

const keyOf = (command) => command.join('\0');
/** Results by command, in the order of rounds. */
const results = new Map();
/** Why a command is not run again. */
const failures = new Map();

async function once(command, label, round) {
  const key = keyOf(command);
  if (failures.has(key) || (results.get(key)?.length ?? 0) > round) return;
  try {
    const result = await resultOf(command);
    results.set(key, [...(results.get(key) ?? []), result]);
    say(`round ${round + 1}  ${label.padEnd(22)} ${JSON.stringify(result)}`);
  } catch (e) {
    failures.set(key, e.message);
    say(`round ${round + 1}  ${label.padEnd(22)} failed: ${e.message}`);
  }
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
const tidy = (x) => Number(x.toPrecision(5));

/** The same rows with the same tokens: nothing else makes a ratio. */
function sameWork(ours, peer) {
  const work = (r) => `${r.examples} rows of ${r.mean_len} tokens, token ids adding up to ${r.ids_sum}`;
  if (work(ours) === work(peer)) return undefined;
  return `the sides did different work: ours ${work(ours)}; the peer ${work(peer)}`;
}

function summarise(p) {
  const none = { ours: null, peer: null, ratio: null };
  const commands = Object.values(p.sides).filter(Boolean);
  const failed = commands.map((c) => failures.get(keyOf(c))).find(Boolean);
  if (failed) return { ...none, failed };
  const [ours, peer] = [p.sides.ours, p.sides.peer].map((c) => c && results.get(keyOf(c)).slice(0, p.runs));
  const different = peer && sameWork(ours[0], peer[0]);
  if (different) return { ...none, failed: different };
  const a = ours.map((r) => r[p.figure]);
  const b = peer?.map((r) => r[p.figure]);
  const summary = {
    ours: tidy(median(a)),
    peer: b ? tidy(median(b)) : null,
    ratio: b ? Number(median(a.map((x, i) => x / b[i])).toFixed(2)) : null,
  };
  return { ...summary, raw: { ours, ...(peer ? { peer } : {}) } };
}

/** All rounds of measures that share runs, their summary, and their place in the results. */
async function measure(plans) {
  const at = machine();
  for (let round = 0; round < Math.max(...plans.map((p) => p.runs)); round++) {
    for (const p of plans) {
      if (round >= p.runs) continue;
      const size = p.shape ? `${p.shape} ` : '';
      await once(p.sides.ours, `${size}${[p.ours, ...(p.flags ?? [])].join(' ')}`, round);
      if (p.sides.peer) await once(p.sides.peer, `${size}${p.peer}`, round);
    }
  }
  const output = {};
  const entries = {};
  for (const p of plans) {
    const { raw, failed, ...summary } = summarise(p);
    output[p.name] = failed ? { ...summary, failed } : summary;
    if (failed) {
      process.exitCode = 1;
      say(`${p.name}: failed: ${failed}`);
      continue;
    }
    const compared = raw.peer
      ? `${summary.peer} peer, ratio ${summary.ratio}x${p.better === 'less' ? ' (less is better)' : ''}`
      : 'no peer';
    say(`${p.name}: ${summary.ours} ours, ${compared}`);
    // Half a comparison must not take the place of a whole one.
    if (p.peer && !raw.peer) continue;
    const settings = { runs: p.runs, ours: [p.ours, ...(p.flags ?? [])].join(' '), peer: p.peer, ...p.settings };
    entries[p.name] = { ...summary, better: p.better, date: new Date().toISOString(), machine: at, settings, raw };
  }
  if (!values['no-record'] && Object.keys(entries).length > 0) mergeResults(here('results/train.json'), entries);
  return output;
}

const plans = names.map(plan);
if (!python && plans.some((p) => p.peer)) say('HUACAYA_PEER_PYTHON is not set: our side alone, and no ratios');
let output = {};
for (const shape of new Set(plans.map((p) => p.shape))) {
  output = { ...output, ...(await measure(plans.filter((p) => p.shape === shape))) };
}
if (values.json) process.stdout.write(`${JSON.stringify(output)}\n`);
