// The journal of a run: what was asked and what was answered, one line each, never changed. Answers stay on the disk; memory
// holds where they lie.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, read } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HuacayaError } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';
import { createAppender, realAppendDisk } from './appender.ts';
import { readJournal } from './journalRead.ts';
import { createLedger, type Ledger } from './ledger.ts';
import {
  type AnsweredRecord,
  type AskedRecord,
  damaged,
  type HeadRecord,
  parseRecord,
  type UnpaidRecord,
  usedBy,
} from './records.ts';
import { lockRun } from './runLock.ts';
import type { TeacherReply } from './types.ts';

export const JOURNAL = 'journal.jsonl';

export interface Journal {
  readonly ledger: Ledger;
  /** Random, made with the journal. */
  readonly run: string;
  /** Each is in the ledger at once; the promise is of its being on the disk. */
  asked(record: AskedRecord): Promise<void>;
  unpaid(record: UnpaidRecord): Promise<void>;
  answered(record: AnsweredRecord): Promise<void>;
  /** The answer to an id that the ledger knows as answered. */
  read(id: string): Promise<TeacherReply>;
  close(): Promise<void>;
}

const readAt = promisify(read);

/**
 * Opens or starts the journal of a folder and locks the folder. A line at the end that was not written to its end is cut off:
 * nobody was told that it was in.
 * @throws HuacayaError TEACHER_RUN_IN_USE, TEACHER_JOURNAL_DAMAGED, FILE_UNREADABLE, NO_SPACE.
 */
export function openJournal(folder: string, disk = realAppendDisk): Journal {
  const path = join(folder, JOURNAL);
  const lock = lockRun(join(folder, 'journal.lock'));
  let fd: number | undefined;
  try {
    fd = openForAppend(path);
    return startJournal(path, fd, lock, disk);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    lock.release();
    throw error instanceof HuacayaError ? error : fileError(path, error);
  }
}

/** Neither `a` (which ignores positions) nor `r+` (which makes no file). */
function openForAppend(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const fd = openSync(path, 'wx+');
    // A new file is there for good when its folder says so. Windows cannot open folders.
    try {
      const parent = openSync(dirname(path), 'r');
      fsyncSync(parent);
      closeSync(parent);
    } catch {}
    return fd;
  }
}

function startJournal(
  path: string,
  fd: number,
  lock: ReturnType<typeof lockRun>,
  disk: typeof realAppendDisk,
): Journal {
  const ledger = createLedger();
  let head: HeadRecord | undefined;
  const size = readJournal(fd, path, (record, place) => {
    if ('journal' in record) head = record;
    else if ('asked' in record) applyAsked(ledger, record);
    else if ('unpaid' in record) ledger.unpaid(record.unpaid);
    else applyAnswered(ledger, record, place);
  });
  if (size > 0 && head?.journal !== 1) throw damaged(path, 'it does not begin like one, or is of a newer version');
  ftruncateSync(fd, size);
  const appender = createAppender(fd, path, size, disk);
  const run = head?.run ?? randomBytes(16).toString('hex');
  if (!head) appender.append(JSON.stringify({ journal: 1, run } satisfies HeadRecord));
  const write = (record: AskedRecord | UnpaidRecord | AnsweredRecord) => {
    lock.check();
    return appender.append(JSON.stringify(record));
  };
  return {
    ledger,
    run,
    async asked(record) {
      const { durable } = write(record);
      applyAsked(ledger, record);
      await durable;
    },
    async unpaid(record) {
      const { durable } = write(record);
      ledger.unpaid(record.unpaid);
      await durable;
    },
    async answered(record) {
      const { place, durable } = write(record);
      await durable;
      // Not before: what is known as answered can be read.
      applyAnswered(ledger, record, place);
    },
    async read(id) {
      const { offset, length } = ledger.accounts.get(id)!.answer!;
      const { buffer, bytesRead } = await readAt(fd, Buffer.alloc(length), 0, length, offset);
      const record = parseRecord(buffer.toString('utf8', 0, bytesRead));
      if (!record || !('answered' in record) || record.answered !== id) {
        throw damaged(path, `the answer to ${id} is not where it was`);
      }
      return { id, ...record.reply };
    },
    async close() {
      try {
        await appender.flush();
      } finally {
        closeSync(fd);
        lock.release();
      }
    },
  };
}

function applyAsked(ledger: Ledger, { asked, hash, endpoint, tokens, cost, batch }: AskedRecord): void {
  ledger.ask(asked, hash, { endpoint, tokens, cost: Math.round(cost * 1e12), ...(batch ? { batch } : {}) });
}

function applyAnswered(ledger: Ledger, record: AnsweredRecord, place: { offset: number; length: number }): void {
  ledger.answer(record.answered, record.hash, usedBy(record), record.settles, place);
}
