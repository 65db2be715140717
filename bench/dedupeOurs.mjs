// One run of our side of bench/dedupe.mjs in a process of its own: node dedupeOurs.mjs '{...settings}'. One JSON on stdout.
// With `until` it stops when so many are in. Replies of 20, as a teacher sends them. Uses dist/: build first.
import { writeFileSync } from 'node:fs';
import { createThreadedRougeDedupe } from '../dist/selfinstruct/dedupe/node.js';
import { instructions } from './dedupeTexts.mjs';

const { count, details, threads, until = Number.POSITIVE_INFINITY, verdicts, resume } = JSON.parse(process.argv[2]);
const texts = instructions(count);
const cpu = (from) => Object.values(process.cpuUsage(from)).reduce((sum, x) => sum + x, 0) / 1e6;

let [began, used] = [performance.now(), process.cpuUsage()];
const dedupe = createThreadedRougeDedupe({ details, threads });
const all = [];
const held = [];
for (let i = 0; i < texts.length && dedupe.size < until; i += 20) {
  const reply = texts.slice(i, i + 20);
  for (const [k, verdict] of (await dedupe.admit(reply)).entries()) {
    all.push(verdict);
    if (!verdict.duplicate) held.push(reply[k]);
  }
}
const result = {
  seconds: (performance.now() - began) / 1000,
  cpu_seconds: cpu(used),
  candidates: all.length,
  accepted: dedupe.size,
  peak_rss_gb: (process.resourceUsage().maxRSS * 1024) / 1e9,
};
if (verdicts) {
  const rows = all.map((v) => [Number(v.duplicate), v.nearest.map((n) => n.score), v.mean ?? null]);
  writeFileSync(verdicts, JSON.stringify({ texts: texts.slice(0, all.length), rows }));
}
await dedupe.close();
if (resume) {
  [began, used] = [performance.now(), process.cpuUsage()];
  const again = createThreadedRougeDedupe({ details, threads }, held);
  result.resume_seconds = (performance.now() - began) / 1000;
  result.resume_cpu_seconds = cpu(used);
  if (again.size !== held.length) throw new Error('not all texts are back');
  await again.close();
}
process.stdout.write(JSON.stringify(result));
