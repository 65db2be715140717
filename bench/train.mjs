// npm run bench:train: training speed and memory on a real model and real rows, ours against PyTorch + PEFT.
// Runs are interleaved (ours, peer, ours, peer, ...): shared machines drift, so only ratios of such runs count.
// With --json one JSON object {measure: {ours, peer, ratio}} on stdout and nothing else. See README.md here.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    runs: { type: 'string', default: '5' },
    examples: { type: 'string', default: '48' },
    pack: { type: 'string', default: '1024' },
  },
});
const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const say = (text) => process.stderr.write(`${text}\n`);
const fail = (text) => {
  say(text);
  process.exit(2);
};

const model = process.env.HUACAYA_BENCH_MODEL;
const data = process.env.HUACAYA_BENCH_DATA ?? here('../examples/in-short.jsonl');
const python = process.env.HUACAYA_PEER_PYTHON;
if (!model || !existsSync(model)) {
  fail('Set HUACAYA_BENCH_MODEL to a model in Hugging Face format (both sides load it); see bench/README.md.');
}

/** measure -> [our arguments, peer mode, the figure compared, larger is better] */
const measures = {
  'int8 against padded bf16, useful tok/s': [['int8'], 'padded-bf16', 'useful_tokens_per_s', true],
  'int8 against packed bf16, useful tok/s': [['int8'], 'packed-bf16', 'useful_tokens_per_s', true],
  'fp32 against padded fp32, useful tok/s': [['fp32'], 'padded-fp32', 'useful_tokens_per_s', true],
  'int8 against padded bf16, peak RSS in GB': [['int8'], 'padded-bf16', 'peak_rss_gb', false],
};
const names = Object.keys(measures).filter((n) => !values.only || n.startsWith(values.only));
if (names.length === 0) fail(`--only ${values.only}: known are ${Object.keys(measures).join(' | ')}`);

const common = ['--examples', values.examples, '--cutoff', '256', '--pack', values.pack];
const lastLine = (text) => JSON.parse(text.trim().split('\n').at(-1));
const ours = async ([precision]) =>
  lastLine((await run(process.execPath, [here('trainOurs.mjs'), model, data, precision, ...common])).stdout);
const peer = async (mode) =>
  lastLine(
    (await run(python, [here('peers/peft_bench.py'), model, data, mode, ...common], { maxBuffer: 1 << 26 })).stdout,
  );

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const raw = {};
const record = (key, result) => {
  raw[key] ??= [];
  raw[key].push(result);
};

const keys = new Set(names.map((n) => `${measures[n][0][0]}|${measures[n][1]}`));
for (let round = 0; round < Number(values.runs); round++) {
  const done = new Set();
  for (const key of keys) {
    const [precision, mode] = key.split('|');
    for (const [side, start] of [
      [precision, () => ours([precision])],
      [mode, () => peer(mode)],
    ]) {
      if (done.has(side) || (side === mode && !python)) continue;
      done.add(side);
      const result = await start();
      record(side, result);
      say(`round ${round + 1}  ${side.padEnd(12)} ${JSON.stringify(result)}`);
    }
  }
}

const summary = {};
for (const name of names) {
  const [[precision], mode, figure, larger] = measures[name];
  const a = raw[precision].map((r) => r[figure]);
  const b = (raw[mode] ?? []).map((r) => r[figure]);
  const ratios = a.map((x, i) => x / b[i]);
  summary[name] = {
    ours: median(a),
    peer: b.length ? median(b) : null,
    ratio: b.length ? Number(median(ratios).toFixed(2)) : null,
  };
  const compared = b.length
    ? `${summary[name].peer} peer, ratio ${summary[name].ratio}${larger ? 'x' : 'x (less is better)'}`
    : 'no peer';
  say(`${name}: ${summary[name].ours} ours, ${compared}`);
}
const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg() };
mkdirSync(here('results'), { recursive: true });
writeFileSync(here('results/train.json'), `${JSON.stringify({ machine, settings: values, summary, raw }, null, 1)}\n`);
if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
