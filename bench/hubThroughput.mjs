// Downloading on loopback, ours against the `hf` command line: 4 files of 1 GB, both into an empty folder, in turns, medians. Ours includes the
// hashing of every byte and the sync to the disk, which hf does not do. Prints a table; exits with 1 when ours is slower, takes 300 MB or
// more of memory, or a file is wrong.
// usage: hubThroughput.mjs [--files 4] [--size 1000: MB a file] [--runs 3] [--scratch FOLDER] [--only ours]
// HUACAYA_PEER_HF: the `hf` command (huggingface_hub); HUACAYA_PEER_PYTHON: a Python 3, for the server; default python3.
// Needs (files * size) of disk three times, better in memory twice.            (after `npm run build`)
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machine } from './results.mjs';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '4' },
    size: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '3' },
    scratch: { type: 'string', default: tmpdir() },
    only: { type: 'string' },
  },
});
const hf = process.env.HUACAYA_PEER_HF;
const python = process.env.HUACAYA_PEER_PYTHON ?? 'python3';
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const repo = 'bench/model';
const commit = '0123456789abcdef0123456789abcdef01234567';
const folder = mkdtempSync(join(values.scratch, 'huacaya-throughput-'));
const size = Number(values.size) * 1e6;

/** Random files and their hashes, by name. */
function makeFiles() {
  const source = join(folder, 'source');
  mkdirSync(source);
  const hashes = {};
  const block = Buffer.alloc(8e6);
  for (let i = 1; i <= Number(values.files); i++) {
    const name = `model-0000${i}-of-0000${values.files}.safetensors`;
    const hash = createHash('sha256');
    const fd = openSync(join(source, name), 'w');
    for (let at = 0; at < size; at += block.length) {
      randomFillSync(block);
      const piece = block.subarray(0, Math.min(block.length, size - at));
      hash.update(piece);
      writeSync(fd, piece);
    }
    closeSync(fd);
    hashes[name] = hash.digest('hex');
  }
  writeFileSync(join(folder, 'hashes.json'), JSON.stringify(hashes));
  return { source, hashes };
}

async function run(command, args, env) {
  spawnSync('sync');
  const began = performance.now();
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const [code] = await once(child, 'close');
  const seconds = (performance.now() - began) / 1000;
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${said.slice(-2000)}`);
  return { seconds, said };
}

async function ours(endpoint, hashes, target) {
  const files = Object.entries(hashes).map(([name, value]) => ({
    name,
    size,
    hash: { kind: 'sha256', value },
    url: `${endpoint}/${repo}/resolve/${commit}/${name}`,
  }));
  const { seconds, said } = await run(process.execPath, [
    here('hubChild.mjs'),
    target,
    JSON.stringify({ repo, files }),
  ]);
  const there = readdirSync(join(target, 'blobs'));
  if (Object.values(hashes).some((hash) => !there.includes(hash))) throw new Error(`files are missing: ${said}`);
  const { rss, cpu_seconds } = JSON.parse(said.trim().split('\n').at(-1));
  return { seconds, rss, cpu_seconds };
}

async function theirs(endpoint, hashes, target) {
  const env = {
    HF_ENDPOINT: endpoint,
    HF_HOME: join(target, 'home'),
    HF_HUB_DISABLE_XET: '1',
    HF_HUB_DISABLE_TELEMETRY: '1',
  };
  const { seconds, said } = await run(hf, ['download', repo, '--local-dir', join(target, 'model')], env);
  for (const name of Object.keys(hashes)) {
    if (statSync(join(target, 'model', name)).size !== size) throw new Error(`${name} is missing: ${said}`);
  }
  return { seconds };
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
const sides = { ours, ...(hf && values.only !== 'ours' ? { hf: theirs } : {}) };
const before = machine();
const { source, hashes } = makeFiles();
const server = spawn(python, [here('hubServer.py'), source, join(folder, 'hashes.json')], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const [port] = await once(server.stdout, 'data');
  const endpoint = `http://127.0.0.1:${String(port).trim()}`;
  const seconds = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  let rss = 0;
  for (let i = 0; i < Number(values.runs); i++) {
    for (const [name, side] of Object.entries(sides)) {
      const target = join(folder, 'target');
      const result = await side(endpoint, hashes, target);
      seconds[name].push(result.seconds);
      rss = Math.max(rss, result.rss ?? 0);
      console.log(
        `${name} ${result.seconds.toFixed(2)} s${result.rss ? `, ${(result.rss / 1e6).toFixed(0)} MB, ${result.cpu_seconds.toFixed(1)} s of processor time` : ''}`,
      );
      rmSync(target, { recursive: true });
    }
  }
  const rate = (name) => (size * Object.keys(hashes).length) / median(seconds[name]) / 1e6;
  for (const name of Object.keys(sides))
    console.log(`${name}: ${median(seconds[name]).toFixed(2)} s (median), ${rate(name).toFixed(0)} MB/s`);
  const ratio = sides.hf ? median(seconds.hf) / median(seconds.ours) : undefined;
  console.log(`${ratio ? `${ratio.toFixed(2)} times hf; ` : ''}memory of ours ${(rss / 1e6).toFixed(0)} MB at most`);
  console.log(JSON.stringify({ machine: before, seconds, rss }));
  process.exitCode = rss < 300e6 && (ratio === undefined || ratio >= 1) ? 0 : 1;
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
