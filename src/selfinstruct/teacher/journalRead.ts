// Reads a journal from its beginning, in pieces: it may be larger than what one string can hold.
import { fstatSync, readSync } from 'node:fs';
import { damaged, type HeadRecord, type JournalRecord, parseRecord } from './records.ts';

const PIECE = 4 << 20;
const NEWLINE = 10;

/**
 * @returns the size of the good part. Bad lines at the very end are what a crash leaves of a group that was being written.
 * @throws HuacayaError TEACHER_JOURNAL_DAMAGED where a good line follows a bad one.
 */
export function readJournal(
  fd: number,
  path: string,
  onRecord: (record: HeadRecord | JournalRecord, place: { offset: number; length: number }) => void,
): number {
  const { size } = fstatSync(fd);
  let rest = Buffer.alloc(0);
  let offset = 0;
  let number = 0;
  let bad: { offset: number; number: number } | undefined;
  for (let at = 0; at < size; ) {
    const piece = Buffer.alloc(Math.min(PIECE, size - at));
    const got = readSync(fd, piece, 0, piece.length, at);
    if (got === 0) break;
    at += got;
    const text = Buffer.concat([rest, piece.subarray(0, got)]);
    let from = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, from)) {
      const record = parseRecord(text.toString('utf8', from, end));
      number++;
      if (!record) bad ??= { offset, number };
      else if (bad) throw damaged(path, `line ${bad.number} cannot be read`);
      else onRecord(record, { offset, length: end + 1 - from });
      offset += end + 1 - from;
      from = end + 1;
    }
    rest = Buffer.from(text.subarray(from));
  }
  return bad ? bad.offset : offset;
}
