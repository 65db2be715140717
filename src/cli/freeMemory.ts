// How much memory this process may take: what is free, within the limit of a container, minus a reserve for everyone else.
import { readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';

/** Linux counts what caches would give back; elsewhere the system's own figure has to do. */
function systemFree(): number {
  try {
    const kb = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    if (kb) return Number(kb) * 1024;
  } catch {
    // Not Linux.
  }
  return freemem();
}

/** Left to others: a tenth, and no more than a gigabyte. */
const reserveOf = (free: number) => Math.min(free / 10, 1e9);

/** Bytes that the whole process may grow to. */
export function memoryForUs(): number {
  const own = process.memoryUsage.rss();
  const limit = process.constrainedMemory() ?? 0;
  const inContainer = limit > 0 && limit < totalmem() ? limit : Infinity;
  const free = Math.min(systemFree() + own, inContainer);
  return free - reserveOf(free);
}
