// Other processes of this machine, for locks that name their owner.
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Two containers may share a name and a disk, and not their process numbers: those only mean something in one of them. */
export function machineName(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** Whether a process with this id runs here, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
