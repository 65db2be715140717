// One process at a time fetches a model: a lock file that its owner keeps young, and that others take over when it is left behind.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileError } from '../base/node.ts';

export interface LockOptions {
  signal?: AbortSignal;
  /** Called once when somebody else holds the lock. */
  onWait?: () => void;
  pollMs?: number;
  /** A lock that has not been touched for so long was left behind. */
  staleMs?: number;
}

/** Runs `work` while `path` is held. Waits for a living owner; never for a dead one. */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const { signal, onWait, pollMs = 250, staleMs = 60_000 } = options;
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), id: randomBytes(8).toString('hex') });
  let told = false;
  while (!(await create(path, mine))) {
    if (await leftBehind(path, staleMs)) {
      // Renaming first: of two processes that find the same old lock, one succeeds.
      const old = `${path}.${randomBytes(4).toString('hex')}.old`;
      await rename(path, old).catch(() => {});
      await rm(old, { force: true });
      continue;
    }
    if (!told) onWait?.();
    told = true;
    await sleep(pollMs, undefined, signal ? { signal } : {});
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, staleMs / 4);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await readFile(path, 'utf8').catch(() => '')) === mine) await rm(path, { force: true });
  }
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, 'wx');
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fileError(path, cause);
  }
}

async function leftBehind(path: string, staleMs: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > staleMs) return true;
    const owner = JSON.parse(await readFile(path, 'utf8')) as { pid: number; host: string };
    return owner.host === hostname() && !isAlive(owner.pid);
  } catch {
    // Gone in the meantime, or still being written: the next round sees.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
