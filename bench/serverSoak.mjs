// What `huacaya serve` must stand for hours, in minutes: fuzzed bodies, requests in a row, clients that vanish or do not
// read. A process of its own serves a tiny random model on the real engine; its memory is read from /metrics.
// usage: serverSoak.mjs [--fuzz 100000] [--requests 1000] [--vanish 200] [--seed 1] [--model FOLDER: instead of the tiny one]
// Prints one JSON object; exit code 1 when something is not as it must be.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';
import { fuzzBody, random } from './fuzzBodies.mjs';

const { values } = parseArgs({
  options: {
    fuzz: { type: 'string', default: '100000' },
    requests: { type: 'string', default: '1000' },
    vanish: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    model: { type: 'string' },
  },
});
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'huacaya-soak-'));
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
const say = (text) => process.stderr.write(`${text}\n`);

async function tinyModelFolder() {
  const { module } = await runnerImport(here('../test/helpers/tinyModel.ts'), { logLevel: 'error' });
  module.writeTinyModel(join(folder, 'tiny'), module.tinyModel());
  return join(folder, 'tiny');
}

/** Garbage goes twice a second, so that memory shows what is kept and not when the collector last felt like it. */
const collecting = ['--expose-gc', '--import', 'data:text/javascript,setInterval(() => gc(), 500).unref()'];

async function start(model, flags = []) {
  const args = [
    'serve',
    '--base-model',
    model,
    '--port',
    '0',
    '--threads',
    '1',
    '--format',
    'json',
    '--max-queue',
    '1000',
    ...flags,
  ];
  const child = spawn(process.execPath, [...collecting, here('../dist/cli/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let talk = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    talk += text;
  });
  const port = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (line) => resolve(JSON.parse(line).port));
    child.once('exit', () => reject(new Error(`the server did not start: ${talk}`)));
  });
  return { child, port, talk: () => talk };
}

function send(port, path, text, method = 'POST') {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const call = request({ host: '127.0.0.1', port, path, method, agent, headers }, (response) => {
      let all = '';
      response.setEncoding('utf8').on('data', (data) => {
        all += data;
      });
      response.on('end', () => resolve({ status: response.statusCode, text: all }));
    });
    // A connection at rest may end just when it is used again.
    call.on('error', (e) => (call.reusedSocket ? resolve(send(port, path, text, method)) : reject(e)));
    call.end(text);
  });
}

async function figure(port, name) {
  const { text } = await send(port, '/metrics', '', 'GET');
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
}
const megabytes = async (port) => Math.round((await figure(port, 'process_resident_memory_bytes')) / 1e5) / 10;

/** Everything but answers and refusals is kept. */
async function fuzz(port, count) {
  const next = random(Number(values.seed));
  const statuses = {};
  const bad = [];
  const begin = performance.now();
  for (let done = 0; done < count; done += 16) {
    const bodies = Array.from({ length: Math.min(16, count - done) }, () => fuzzBody(next));
    const answers = await Promise.all(bodies.map(({ path, text }) => send(port, path, text)));
    for (const [i, { status, text }] of answers.entries()) {
      statuses[status] = (statuses[status] ?? 0) + 1;
      const failed =
        status >= 500 || status < 200 || (status >= 300 && status < 400) || text.includes('"server_error"');
      if (!failed || bad.length >= 10) continue;
      bad.push({ ...bodies[i], status, answer: text.slice(0, 300) });
      say(`not as it must be: ${JSON.stringify(bad.at(-1))}`);
    }
    if (done % 10_000 === 0) say(`fuzz ${done} ${JSON.stringify(statuses)} ${await megabytes(port)} MB`);
  }
  return { count, statuses, bad, seconds: Math.round((performance.now() - begin) / 1000) };
}

/** After as many to warm up: programs are compiled and pools filled by then. */
async function inARow(port, count) {
  const messages = [{ role: 'user', content: 'Where does the alpaca rest?' }];
  const memory = [];
  for (let i = 0; i < 2 * count; i++) {
    const body = { messages, max_tokens: 8, temperature: i % 2, seed: i, stream: i % 3 === 0 };
    const { status, text } = await send(port, '/v1/chat/completions', JSON.stringify(body));
    if (status !== 200) throw new Error(`request ${i}: ${status} ${text}`);
    if (i >= count && i % 20 === 19) memory.push(await megabytes(port));
  }
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const half = Math.floor(memory.length / 2);
  const growth = mean(memory.slice(half)) - mean(memory.slice(0, half));
  return { count, memory, growthMegabytes: Math.round(growth * 10) / 10 };
}

/** Half of them leave in the middle of the answer, half never read it. */
async function vanish(port, count) {
  const text = JSON.stringify({ messages: [{ role: 'user', content: 'a' }], ignore_eos: true, stream: true });
  for (let i = 0; i < count; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    );
    if (i % 2) socket.pause();
    else await new Promise((resolve) => socket.once('data', resolve));
    setTimeout(() => socket.destroy(), i % 2 ? 50 : 0);
  }
  const limit = performance.now() + 60_000;
  while ((await figure(port, 'huacaya_answers_admitted')) > 0 && performance.now() < limit) {
    await new Promise((r) => setTimeout(r, 100));
  }
  return {
    count,
    left: await figure(port, 'huacaya_answers_admitted'),
    cut: await figure(port, 'huacaya_requests_cut_total'),
  };
}

/** Its own server for each part, so that one's memory is not the other's. */
async function part(model, flags, work) {
  const { child, port, talk } = await start(model, flags);
  try {
    const before = await megabytes(port);
    const result = await work(port);
    const warnings = talk()
      .split('\n')
      .filter((line) => /warning|error/i.test(line));
    return { ...result, megabytes: { before, after: await megabytes(port) }, warnings: warnings.slice(0, 10) };
  } catch (e) {
    say(`the server said: ${talk().slice(-5000)}`);
    throw e;
  } finally {
    child.kill('SIGTERM');
  }
}

try {
  const model = values.model ?? (await tinyModelFolder());
  const result = {
    vanish: await part(model, [], (port) => vanish(port, Number(values.vanish))),
    inARow: await part(model, [], (port) => inARow(port, Number(values.requests))),
    // Short answers: it is the bodies that matter.
    fuzz: await part(model, ['--max-new-tokens', '4'], (port) => fuzz(port, Number(values.fuzz))),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  const { vanish: v, inARow: row, fuzz: f } = result;
  const clean = Object.values(result).every(({ warnings }) => warnings.length === 0);
  process.exitCode = v.left === 0 && row.growthMegabytes < 5 && f.bad.length === 0 && clean ? 0 : 1;
} finally {
  agent.destroy();
  rmSync(folder, { recursive: true, force: true });
}
