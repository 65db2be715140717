// One process at a time works in a run's folder: a lock file that its owner keeps young; one that was left behind is taken over.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { HuacayaError } from '../../base/index.ts';
import { fileError, isAlive, machineName } from '../../base/node.ts';

export interface RunLock {
  /**
   * Looks at most ten times a second.
   * @throws HuacayaError TEACHER_RUN_IN_USE when somebody took the lock from us, e.g. after this machine slept.
   */
  check(): void;
  release(): void;
}

/** A lock that has not been touched for so long was left behind, even if a process with its number lives. */
const STALE_MS = 120_000;

/** @throws HuacayaError TEACHER_RUN_IN_USE at once when a living process holds it. */
export function lockRun(path: string, staleMs = STALE_MS): RunLock {
  const mine = JSON.stringify({ pid: process.pid, host: machineName(), id: randomBytes(8).toString('hex') });
  for (let tries = 0; !create(path, mine); tries++) {
    const found = read(path);
    if (tries > 20 || (found !== undefined && !isLeftBehind(path, found, staleMs))) throw inUse(path, found);
    if (found !== undefined) takeAway(path, found);
  }
  const isMine = () => read(path) === mine;
  const heartbeat = setInterval(() => {
    // A lock that is not ours any more is not kept young by us.
    try {
      if (isMine()) utimesSync(path, new Date(), new Date());
    } catch {
      // Gone in the meantime: `check` will tell.
    }
  }, staleMs / 8);
  heartbeat.unref();
  let looked = Number.NEGATIVE_INFINITY;
  return {
    check() {
      if (performance.now() - looked < 100) return;
      looked = performance.now();
      if (!isMine()) throw inUse(path, read(path));
    },
    release() {
      clearInterval(heartbeat);
      if (isMine()) rmSync(path, { force: true });
    },
  };
}

function create(path: string, content: string): boolean {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, 'wx');
    try {
      writeSync(file, content);
    } finally {
      closeSync(file);
    }
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw fileError(path, cause);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

interface Owner {
  pid: number;
  host: string;
}

function ownerOf(content: string): Owner | undefined {
  try {
    return JSON.parse(content) as Owner;
  } catch {
    return undefined;
  }
}

function isLeftBehind(path: string, content: string, staleMs: number): boolean {
  const owner = ownerOf(content);
  const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  // Without a content it is being written at this moment, or its owner died in that moment.
  if (!owner) return age > 5000;
  return age > staleMs || (owner.host === machineName() && !isAlive(owner.pid));
}

/** Moves an old lock away. If somebody else was faster and the lock is theirs by now, it goes back. */
function takeAway(path: string, content: string): void {
  const old = `${path}.${randomBytes(4).toString('hex')}.old`;
  try {
    renameSync(path, old);
  } catch {
    return;
  }
  if (read(old) === content) rmSync(old, { force: true });
  else renameSync(old, path);
}

function inUse(path: string, content: string | undefined): HuacayaError {
  const owner = content === undefined ? undefined : ownerOf(content);
  const who = owner
    ? `process ${owner.pid}${owner.host === machineName() ? '' : ` on ${owner.host}`}`
    : 'another process';
  return new HuacayaError('TEACHER_RUN_IN_USE', `${dirname(path)}: ${who} is working in this folder`, {
    hint: `Wait for it or stop it, or choose another folder. If it is long gone, delete ${path}.`,
  });
}
