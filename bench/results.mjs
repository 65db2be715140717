// Files in bench/results. train.json: the last result of each measure with its own date, machine and settings; running one
// measure leaves the others as they were.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { dirname } from 'node:path';

/** Call before the work starts: the load is what others do. */
export const machine = () => ({
  cpu: cpus()[0].model,
  cores: cpus().length,
  memory_gb: Math.round(totalmem() / 1e9),
  node: process.version,
  load: loadavg().map((x) => Number(x.toFixed(2))),
});

const onOneLine = new Set(['machine', 'settings', 'losses']);

/** Writes JSON with one line a run, so that a diff shows what changed. */
export function writeResults(path, results) {
  const lines = [];
  const hold = (key, value) => {
    const flat = onOneLine.has(key) || (value && typeof value === 'object' && 'mode' in value);
    return flat ? `@${lines.push(JSON.stringify(value)) - 1}@` : value;
  };
  const text = JSON.stringify(results, hold, 1).replace(/"@(\d+)@"/g, (_, n) => lines[n]);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${text}\n`);
}

export const readResults = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {});

/** Puts `entries` ({ name: result }) in the place of those with the same name. */
export const mergeResults = (path, entries) => writeResults(path, { ...readResults(path), ...entries });
