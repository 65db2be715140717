// One process that downloads; started by bench/hubKills.mjs, bench/hubThroughput.mjs and a test, and killed by the first and the last.
// usage: hubChild.mjs FOLDER JSON, where JSON is { repo, files: [{ name, size, hash: { kind, value }, url }] }. Prints the notes, then a line of figures.
import { join } from 'node:path';
import { downloadBlobs } from '../dist/hub/downloadBlobs.js';

const [folder, json] = process.argv.slice(2);
const { repo, files } = JSON.parse(json);
const jobs = files.map(({ url, ...file }) => ({
  file,
  urls: [url],
  blobPath: join(folder, 'blobs', file.hash.value),
  lockPath: join(folder, 'locks', `${file.hash.value}.lock`),
}));
const began = performance.now();
const onEvent = (event) => {
  if (event.type === 'note') process.stdout.write(`${event.message}\n`);
};
await downloadBlobs(jobs, { repo, onEvent });
const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
const seconds = (performance.now() - began) / 1000;
const figures = { seconds, rss: maxRSS * 1024, cpu_seconds: (userCPUTime + systemCPUTime) / 1e6 };
process.stdout.write(`${JSON.stringify(figures)}\n`);
