// Kills `huacaya instruct` at random again and again: the final files must be those of an undisturbed run, and no request
// may be paid twice. Usage: npm run build && node bench/instructKills.mjs [kills] [tasks] [pipeline]
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const [kills = 50, tasks = 2000] = process.argv.slice(2, 4).map(Number);
const pipeline = process.argv[4] ?? 'alpaca';
const root = fileURLToPath(new URL('../', import.meta.url));
const main = join(root, 'dist/cli/main.js');

// The test teacher is TypeScript; Vite can load it.
const { module } = await runnerImport(join(root, 'test/helpers/teacherServer/index.ts'), { logLevel: 'error' });
const teacher = await module.startTeacherServer({ seed: 11, faults: 0.03, hangMs: 100, latencyMs: 30 });
const folder = mkdtempSync(join(tmpdir(), 'huacaya-instruct-kills-'));

/** Ends with the exit code, or with null when it was killed after `ms`. */
function run(out, ms) {
  const args = ['instruct', '--model', 'teacher', '--base-url', teacher.url, '--out', out, '--num', String(tasks)];
  const more = ['--pipeline', pipeline, '--structured', 'false', '--format', 'json'];
  const child = spawn(process.execPath, [main, ...args, ...more], { cwd: folder });
  let [stderr, lines] = ['', 0];
  child.stdout.on('data', (chunk) => {
    lines += chunk.toString().split('\n').length - 1;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const timer = ms === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), ms);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code !== 0 && code !== null) throw new Error(stderr);
      resolve({ code, lines });
    });
  });
}

function files(out) {
  const names = readdirSync(join(folder, out), { recursive: true }).map(String);
  const kept = names.filter((name) => /\.jsonl?$/.test(name) && !/^(journal|seed_tasks|prompts)/.test(name)).sort();
  const text = (name) =>
    // The time of an answer is part of the format, and differs.
    readFileSync(join(folder, out, name), 'utf8').replace(/"created_at": "[^"]*"/g, '');
  return kept.map((name) => `${name} ${createHash('sha256').update(text(name)).digest('hex')}`).join('\n');
}

try {
  const began = performance.now();
  await run('whole');
  const wholeMs = performance.now() - began;
  console.log(`undisturbed: ${Math.round(wholeMs)} ms, ${teacher.paid().size} requests paid`);
  let [done, killed, finished] = [0, 0, 0];
  while (killed < kills) {
    // Every start gets a little further than the last; where a run ends before its kill, a new one begins.
    const { code } = await run(`killed-${finished}`, 300 + Math.random() * Math.max(400, wholeMs / 2));
    done++;
    if (code === null) killed++;
    else finished++;
    if (code === 0 && files(`killed-${finished - 1}`) !== files('whole')) throw new Error('the files differ');
  }
  await run(`killed-${finished}`);
  for (let i = 0; i <= finished; i++) {
    if (files(`killed-${i}`) !== files('whole')) throw new Error(`the files of run ${i} differ`);
  }
  const twice = [...teacher.paid().values()].filter((times) => times !== 1).length;
  console.log(`${killed} kills in ${done + 1} starts of ${finished + 1} runs: same files; paid twice: ${twice}`);
  if (twice > 0) process.exitCode = 1;
} finally {
  await teacher.close();
  rmSync(folder, { recursive: true, force: true });
}
