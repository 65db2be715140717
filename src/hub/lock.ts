// One process at a time fetches a file: a lock file that its owner keeps young, and that others take over when it is left behind.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileError, isAlive, machineName } from '../base/node.ts';

export interface LockOptions {
  signal?: AbortSignal;
  /** Called once when somebody else holds the lock. */
  onWait?: () => void;
  pollMs?: number;
  /** A lock that has not been touched for so long was left behind. */
  staleMs?: number;
}

const STALE_MS = 60_000;

/** A takeover lasts milliseconds; a guard of this age belongs to nobody any more. */
const GUARD_STALE_MS = 10_000;

/** Runs `work` while `path` is held. Waits for a living owner; never for a dead one. @throws HuacayaError FILE_UNREADABLE, NO_SPACE. */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const { signal, onWait, pollMs = 250, staleMs = STALE_MS } = options;
  const mine = JSON.stringify({ pid: process.pid, host: machineName(), id: randomBytes(8).toString('hex') });
  await mkdir(dirname(path), { recursive: true }).catch((cause) => {
    throw fileError(dirname(path), cause);
  });
  let told = false;
  while (!(await create(path, mine))) {
    if (await takenOver(path, staleMs)) continue;
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

/** Whether a living process holds the lock at `path`. */
export async function isHeld(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined && !(await leftBehind(path, STALE_MS));
}

async function create(path: string, content: string): Promise<boolean> {
  try {
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

/**
 * Removes a lock that was left behind. Looking and removing are two steps: without a guard, the second of two processes that
 * saw the old lock would remove the new one of the first.
 */
async function takenOver(path: string, staleMs: number): Promise<boolean> {
  if (!(await leftBehind(path, staleMs))) return false;
  const guard = `${path}.takeover`;
  if (!(await create(guard, ''))) {
    const age = Date.now() - ((await stat(guard).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > GUARD_STALE_MS) await rm(guard, { force: true });
    return false;
  }
  try {
    if (!(await leftBehind(path, staleMs))) return false;
    await rm(path, { force: true });
    return true;
  } finally {
    await rm(guard, { force: true });
  }
}

async function leftBehind(path: string, staleMs: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > staleMs) return true;
    const owner = JSON.parse(await readFile(path, 'utf8')) as { pid: number; host: string };
    return owner.host === machineName() && !isAlive(owner.pid);
  } catch {
    // Gone in the meantime, or still being written: the next round sees.
    return false;
  }
}
