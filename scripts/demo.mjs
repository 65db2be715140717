// npm run demo: the whole way on real input. Gets a small model, fine-tunes it on the bundled examples, and shows the
// answers of base and adapter to questions that it never saw. Runs the same commands that a user would type.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

function huacaya(...args) {
  process.stderr.write(`\n$ npx huacaya ${args.map((a) => (/[ ?]/.test(a) ? `"${a}"` : a)).join(' ')}\n`);
  const { status, error } = spawnSync(process.execPath, [cli, ...args], { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

huacaya('pull', 'smollm2-135m-instruct');
huacaya('train', '--recipe', 'demo', '--output-dir', 'runs/demo', '--overwrite');
huacaya(
  'compare',
  ...['--adapter', 'runs/demo/adapter', '--max-new-tokens', '60'],
  ...['--data-path', 'examples/in-short.heldout.jsonl', '--limit', '6'],
);
const losses = readFileSync(`${root}runs/demo/metrics.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .filter((event) => event.type === 'heldOut')
  .map((event) => event.loss.toFixed(3));
process.stderr.write(`
Loss on the held-out questions: ${losses[0]} before, ${losses.at(-1)} after.
The adapter answers in the manner of examples/in-short.jsonl: a short answer, then a line "In short: ...".
It is in runs/demo/adapter, in PEFT's format. Try next:
  npx huacaya chat --adapter runs/demo/adapter
  npx huacaya generate --adapter runs/demo/adapter "What is a glacier?"
  npx huacaya train --base-model smollm2-135m-instruct --data-path YOUR-ROWS.jsonl
`);
