// bench/results/train.json: the last result of each measure with its own date, machine and settings. Running one measure
// leaves the others as they were.
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

/** JSON with one line a run, so that a diff shows what changed. */
function readable(results) {
  const lines = [];
  const text = JSON.stringify(
    results,
    (key, value) => {
      const flat = key === 'machine' || key === 'settings' || (value && typeof value === 'object' && 'mode' in value);
      return flat ? `@${lines.push(JSON.stringify(value)) - 1}@` : value;
    },
    1,
  );
  return `${text.replace(/"@(\d+)@"/g, (_, n) => lines[n])}\n`;
}

/** Puts `entries` ({ name: result }) in the place of those with the same name. */
export function mergeResults(path, entries) {
  const held = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, readable({ ...held, ...entries }));
}
