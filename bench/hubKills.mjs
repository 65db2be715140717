// Downloads that are killed: N times `kill -9` after a random number of bytes, then a second process that goes on; and several processes that
// want the same model at the same moment. Prints a table; exits with 1 when a promise is not kept:
// at most 8 MiB fetched twice a kill, every hash right, each byte served once to all processes together.
// usage: hubKills.mjs [--kills 100] [--processes 8] [--pace 100: MB/s of the line] [--seed 1]      (after `npm run build`)
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRng } from '../dist/base/index.js';
import { commit, repo, startHub } from './hubServer.mjs';

const MIB = 1 << 20;
const ALLOWED = 8 * MIB;
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    processes: { type: 'string', default: '8' },
    pace: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
  },
});
const rng = createRng(Number(values.seed));

/** Two files of several parts, one of a single part, and a small one. */
const files = {};
for (const [name, size] of [
  ['config.json', 600],
  ['tokenizer.model', 3 * MIB + 11],
  ['model-00001-of-00002.safetensors', 48 * MIB + 1234],
  ['model-00002-of-00002.safetensors', 21 * MIB + 77],
]) {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i + 4 <= size; i += 4) bytes.writeUInt32LE(rng.uint32(), i);
  files[name] = { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}
const size = Object.values(files).reduce((sum, { bytes }) => sum + bytes.length, 0);
const hub = await startHub(files, Number(values.pace) * 1e6);

function start(folder) {
  const list = Object.entries(files).map(([name, { bytes, sha256 }]) => ({
    name,
    size: bytes.length,
    hash: { kind: 'sha256', value: sha256 },
    url: `${hub.endpoint}/${repo}/resolve/${commit}/${name}`,
  }));
  const script = fileURLToPath(new URL('./hubChild.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, folder, JSON.stringify({ repo, files: list })]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  return { child, done: once(child, 'close').then(([code]) => ({ code, said })) };
}

/** What is wrong in a folder after a download; empty when all is well. */
function faults(folder) {
  const expected = Object.values(files).map(({ sha256 }) => sha256);
  const there = readdirSync(join(folder, 'blobs'));
  const found = there.filter((name) => !expected.includes(name)).map((name) => `left behind: ${name}`);
  for (const name of expected) {
    const actual = there.includes(name)
      ? createHash('sha256')
          .update(readFileSync(join(folder, 'blobs', name)))
          .digest('hex')
      : 'no file';
    if (actual !== name) found.push(`${name}: ${actual}`);
  }
  return [...found, ...readdirSync(join(folder, 'locks')).map((name) => `left behind: ${name}`)];
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
const mib = (bytes) => `${(bytes / MIB).toFixed(2)} MiB`;
let bad = 0;
const complain = (what) => {
  bad++;
  console.log(what);
};

/** Bytes that both processes read, and the same with those that were on their way to the first one when it died. */
const twice = [];
const inAll = [];
for (let round = 1; round <= Number(values.kills); round++) {
  const folder = mkdtempSync(join(tmpdir(), 'huacaya-hub-kills-'));
  hub.reset();
  const offset = 1 + rng.below(size - 1);
  const first = start(folder);
  await Promise.race([hub.reached(offset), first.done]);
  // Stopped first, so that what it has read and what is still on its way can be told apart.
  first.child.kill('SIGSTOP');
  hub.hold(true);
  await sleep(20);
  const onTheWay = hub.onTheWay();
  first.child.kill('SIGKILL');
  const { code: killed } = await first.done;
  hub.hold(false);
  const second = await start(folder).done;
  const again = Math.max(0, hub.total - onTheWay - size);
  twice.push(again);
  inAll.push(hub.total - size);
  const found = faults(folder);
  if (second.code !== 0) found.push(`the second process ended with ${second.code}: ${second.said}`);
  if (killed === 0) found.push('the first process was not killed');
  if (again > ALLOWED) found.push(`${mib(again)} were fetched twice`);
  if (found.length > 0) complain(`kill ${round} at ${mib(offset)} of ${mib(size)}: ${found.join('; ')}`);
  rmSync(folder, { recursive: true });
}
console.log(`${twice.length} kills of a download of ${mib(size)} at ${values.pace} MB/s`);
console.log(
  `fetched twice: ${mib(median(twice))} (median), ${mib(Math.max(...twice))} (most); allowed ${mib(ALLOWED)}`,
);
console.log(
  `with what was on its way when the process died: ${mib(median(inAll))} (median), ${mib(Math.max(...inAll))} (most)`,
);

const folder = mkdtempSync(join(tmpdir(), 'huacaya-hub-kills-'));
hub.reset();
const all = await Promise.all(Array.from({ length: Number(values.processes) }, () => start(folder).done));
const waited = all.filter(({ said }) => said.includes('another process is fetching')).length;
for (const { code, said } of all)
  if (code !== 0) complain(`one of ${all.length} processes ended with ${code}: ${said}`);
for (const fault of faults(folder)) complain(fault);
if (hub.total > size) complain(`${mib(hub.total)} were served instead of ${mib(size)}`);
console.log(
  `${all.length} processes at once: ${mib(hub.total)} served for ${mib(size)}; ${waited} said that they waited`,
);
rmSync(folder, { recursive: true });
await hub.close();
console.log(bad === 0 ? 'all promises kept' : `${bad} promises broken`);
process.exitCode = bad === 0 ? 0 : 1;
