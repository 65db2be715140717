// Damaged files against the parsers, each case from a seed: whatever is wrong with a file, a parser opens it or throws a
// HuacayaError, within a second and without taking memory for what the file only claims. Prints one line a parser.
// usage: fuzz.mjs [--parser safetensors|gguf|torch|zip|sentencepiece|all] [--count 1000000] [--seed 1] [--from 0]
//   [--dist ../dist: the build to test] [--keep FOLDER: where a file that shows a fault is put]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createTargets, runCases } from './fuzzFiles.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const parsers = ['safetensors', 'gguf', 'torch', 'zip', 'sentencepiece'];
/** A case that takes so long has no end, and its thread cannot tell. */
const hangSeconds = 20;

function fixture(path) {
  return new Uint8Array(readFileSync(join(here, '../test/fixtures', path)));
}

/** Runs one parser in this thread; writes the number of the case that is being opened to shared memory. */
async function work({ parser, count, seed, from, dist, shared }) {
  const load = (room) => import(pathToFileURL(join(dist, room, 'index.js')));
  const [base, formats] = [await load('base'), await load('formats')];
  const targets = await createTargets({ ...base, ...formats }, fixture);
  const progress = new Int32Array(shared);
  return runCases(parser, targets[parser], {
    createRng: base.createRng,
    isExpected: (error) => error instanceof base.HuacayaError,
    seed,
    from,
    count,
    onCase: (i) => Atomics.store(progress, 0, i),
  });
}

function runParser(options) {
  const shared = new SharedArrayBuffer(4);
  const progress = new Int32Array(shared);
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { ...options, shared } });
  return new Promise((done) => {
    let last = -1;
    let quiet = 0;
    const timer = setInterval(() => {
      const now = Atomics.load(progress, 0);
      quiet = now === last ? quiet + 1 : 0;
      last = now;
      if (quiet < hangSeconds) return;
      void worker.terminate();
      finish({ fault: `${options.parser}: case ${now} of seed ${options.seed} does not end` });
    }, 1000);
    const finish = (result) => {
      clearInterval(timer);
      done(result);
    };
    worker.on('message', finish);
    worker.on('error', (error) => finish({ fault: error.stack ?? String(error) }));
  });
}

async function main() {
  const { values } = parseArgs({
    options: {
      parser: { type: 'string', default: 'all' },
      count: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
      dist: { type: 'string', default: join(here, '../dist') },
      keep: { type: 'string' },
    },
  });
  const chosen = values.parser === 'all' ? parsers : [values.parser];
  if (!chosen.every((parser) => parsers.includes(parser)))
    throw new Error(`--parser: one of ${parsers.join(', ')}, all`);
  const [count, seed, from] = [Number(values.count), Number(values.seed), Number(values.from)];
  let faults = 0;
  for (const parser of chosen) {
    const start = performance.now();
    const { refused, fault, bytes } = await runParser({ parser, count, seed, from, dist: resolve(values.dist) });
    const seconds = (performance.now() - start) / 1000;
    if (fault === undefined) {
      const each = ((seconds / count) * 1e6).toFixed(0);
      console.log(`${parser}: ${count} files, ${refused} refused, no fault, ${seconds.toFixed(1)} s (${each} us each)`);
      continue;
    }
    faults++;
    console.log(fault);
    if (values.keep && bytes) {
      mkdirSync(values.keep, { recursive: true });
      writeFileSync(join(values.keep, `${parser}.bin`), bytes);
    }
  }
  process.exitCode = faults ? 1 : 0;
}

if (isMainThread) await main();
else {
  try {
    parentPort.postMessage({ refused: await work(workerData) });
  } catch (error) {
    parentPort.postMessage({ fault: `${error.message}\n${error.cause?.stack ?? error.stack}`, bytes: error.bytes });
  }
}
