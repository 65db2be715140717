// A side of the inference benchmark is a process of its own that answers JSON lines: {do, ...} on stdin, {answer} or {error}
// on stdout, in order. It ends when its stdin does. Each answer carries the processor time that it took and the process's
// peak memory.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export const now = () => performance.now() / 1000;
export const round = (x, digits = 4) => Number(x.toFixed(digits));

/** Serves `handlers` ({ name: async (request) => object }) until stdin ends. */
export async function answer(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const before = process.cpuUsage();
    let reply;
    try {
      const result = await handlers[request.do](request);
      const used = process.cpuUsage(before);
      const rss = round((process.resourceUsage().maxRSS * 1024) / 1e9, 3);
      reply = { answer: { ...result, cpu_s: round((used.user + used.system) / 1e6, 3), peak_rss_gb: rss } };
    } catch (e) {
      reply = { error: `${e.code ? `${e.code}: ` : ''}${e.message}` };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  // Native threads would keep it alive.
  process.exit(0);
}

/**
 * @param file the script. @param limit seconds for one answer.
 * @returns ask(request): its answer, @throws Error with what the child said; close().
 */
export function startChild(file, limit = 900) {
  const child = spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = [];
  let said = '';
  const settle = (method, value) => waiting.shift()?.[method](value);
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    // A native library may print there too.
    if (!line.startsWith('{')) return;
    const { answer, error } = JSON.parse(line);
    if (error === undefined) settle('resolve', answer);
    else settle('reject', new Error(error));
  });
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const last = said.trim().split('\n').at(-1);
      while (waiting.length > 0) {
        settle('reject', new Error(last || `ended without an answer (${signal ?? `code ${code}`})`));
      }
      resolve();
    });
  });
  child.stdin.on('error', () => {});
  return {
    ask(request) {
      const timer = setTimeout(() => child.kill('SIGKILL'), limit * 1000);
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(`${JSON.stringify(request)}\n`);
      }).finally(() => clearTimeout(timer));
    },
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
