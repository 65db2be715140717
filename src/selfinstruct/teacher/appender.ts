// A file that only grows: lines are written and synced in groups, and nobody is told that a line is in before it is on the disk.
import { fdatasync, ftruncate, write } from 'node:fs';
import { promisify } from 'node:util';
import { fileError } from '../../base/node.ts';

const disk = { write: promisify(write), sync: promisify(fdatasync), truncate: promisify(ftruncate) };

/** The write surface that tests replace to simulate a full disk. */
export interface AppendDisk {
  write(fd: number, bytes: Uint8Array, offset: number): Promise<void>;
}

export const realAppendDisk: AppendDisk = {
  async write(fd, bytes, offset) {
    for (let done = 0; done < bytes.length; ) {
      done += (await disk.write(fd, bytes, done, bytes.length - done, offset + done)).bytesWritten;
    }
  },
};

export interface Place {
  offset: number;
  length: number;
}

export interface Appender {
  /**
   * @param line without its end. @returns where it lies, known at once, and a promise of its being on the disk.
   * @throws HuacayaError NO_SPACE / FILE_UNREADABLE through `durable`, for every line of the group and all later ones.
   */
  append(line: string): { place: Place; durable: Promise<void> };
  /** All lines so far are on the disk. */
  flush(): Promise<void>;
}

export function createAppender(fd: number, path: string, size: number, writer = realAppendDisk): Appender {
  let end = size;
  let safe = size;
  let group: Buffer[] = [];
  let running: Promise<void> | undefined;
  let broken: unknown;
  let next = deferred();

  async function work(): Promise<void> {
    // One turn later: everything that is appended in this one goes into the same group.
    await Promise.resolve();
    while (group.length > 0) {
      const bytes = Buffer.concat(group);
      const mine = next;
      [group, next] = [[], deferred()];
      try {
        if (broken) throw broken;
        await writer.write(fd, bytes, safe);
        await disk.sync(fd);
        safe += bytes.length;
        mine.resolve();
      } catch (cause) {
        // Offsets that were given away are wrong from here on: nothing more is taken, and half a group is cut off.
        broken ??= fileError(path, cause);
        await disk.truncate(fd, safe).catch(() => {});
        mine.reject(broken);
      }
    }
    running = undefined;
  }

  return {
    append(line) {
      const bytes = Buffer.from(`${line}\n`);
      const place = { offset: end, length: bytes.length };
      end += bytes.length;
      group.push(bytes);
      const durable = next.promise;
      running ??= work();
      return { place, durable };
    },
    async flush() {
      await running;
      if (broken) throw broken;
    },
  };
}

function deferred() {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Lines whose writer does not wait must not end the process.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
