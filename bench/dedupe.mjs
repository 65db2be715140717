// npm run bench:dedupe: dedupe by ROUGE-L against the loop of the published pipelines with rouge_score. See README.md here.
// Ratios are of processor time: ours with one thread to theirs with one process.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, mergeResults } from './results.mjs';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    large: { type: 'string', default: '52000' },
    checked: { type: 'string', default: '1500' },
    sample: { type: 'string', default: '100' },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    'no-record': { type: 'boolean', default: false },
  },
});
const [count, large, runs] = [values.count, values.large, values.runs].map(Number);
const say = (text) => process.stderr.write(`${text}\n`);
const here = (name) => new URL(name, import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'huacaya-bench-'));
const round = (x) => (typeof x === 'number' ? Number(x.toPrecision(4)) : x);
const rounded = (result) => Object.fromEntries(Object.entries(result).map(([k, v]) => [k, round(v)]));

/** The run with the median processor time. */
function ours(name, settings, { times = runs, verdicts } = {}) {
  const results = Array.from({ length: times }, () =>
    JSON.parse(
      execFileSync(process.execPath, [here('dedupeOurs.mjs'), JSON.stringify({ ...settings, verdicts })], {
        encoding: 'utf8',
      }),
    ),
  );
  results.sort((a, b) => a.cpu_seconds - b.cpu_seconds);
  const result = rounded(results[times >> 1]);
  say(`${name}: ${JSON.stringify(result)}`);
  return [name, { ...result, runs: times, settings, machine: machine() }];
}

try {
  const verdicts = join(folder, 'verdicts.json');
  const entries = [
    ours('decision', { count, details: 'decision', threads: 1 }),
    ours('nearest', { count, details: 'nearest', threads: 1 }),
    ours('exact', { count, details: 'exact', threads: 1 }, { verdicts }),
    ours('exact, 2 threads', { count, details: 'exact', threads: 2 }),
  ];
  if (large > 0) {
    const most = { count: large * 2, until: large, resume: true };
    entries.push(
      ours('large decision', { ...most, details: 'decision', threads: 1 }, { times: 1 }),
      ours('large nearest', { ...most, details: 'nearest', threads: 1 }, { times: 1 }),
      ours('large exact', { ...most, details: 'exact', threads: 1 }, { times: 1 }),
      ours('large exact, 2 threads', { ...most, details: 'exact', threads: 2 }, { times: 1 }),
    );
  }
  const python = process.env.HUACAYA_PEER_PYTHON;
  if (!python) say('HUACAYA_PEER_PYTHON is not set: our side alone, and no ratios');
  else {
    const args = [here('dedupe_peer.py'), verdicts, values.checked, values.sample];
    const peer = JSON.parse(execFileSync(python, args, { encoding: 'utf8', maxBuffer: 1e9 }));
    say(`peer: ${JSON.stringify(peer)}`);
    if (peer.wrong.length > 0) throw new Error(`verdicts differ: ${JSON.stringify(peer.wrong.slice(0, 20))}`);
    const ratios = Object.fromEntries(
      entries
        .filter(([, e]) => e.settings.threads === 1 && e.settings.count === count)
        .map(([name, e]) => [name, round(peer.estimate_cpu_seconds / e.cpu_seconds)]),
    );
    say(`ratios to _score_lcs on ready tokens: ${JSON.stringify(ratios)}`);
    entries.push(['peer', { ...rounded(peer), ratios, machine: machine() }]);
  }
  if (!values['no-record']) mergeResults(here('results/dedupe.json'), Object.fromEntries(entries));
  if (values.json) process.stdout.write(`${JSON.stringify(Object.fromEntries(entries))}\n`);
} catch (e) {
  say(e.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
