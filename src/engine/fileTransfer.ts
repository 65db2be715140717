// Moves device buffers to and from an open file, in the worker: several requests are under way at a time, and a checksum
// is taken of one stretch while the next ones are read or written.
import { read, write } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type FilePart, type HostArray, hostArrays } from './runtime.ts';

/** Fits a second-level cache, so that the checksum finds the bytes there. Between 256 kB and 4 MB it makes no difference. */
const chunkBytes = 1 << 20;
/** Node has four threads for files; twice as many requests keep them busy while this thread sums. */
const underWay = 8;

/** The file is not what it should be, or the system refuses it: no failure of the engine. */
export class FileProblem extends Error {
  /** The system's, e.g. ENOSPC. */
  readonly code: string | undefined;
  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

export interface PartToWrite {
  data: HostArray;
  /** First byte in the file. */
  offset: number;
}

type Transfer = (fd: number, bytes: Uint8Array, position: number) => Promise<number>;

const readSome: Transfer = (fd, bytes, position) =>
  new Promise((resolve, reject) => {
    read(fd, bytes, 0, bytes.length, position, (e, n) => (e ? reject(e) : resolve(n)));
  });
const writeSome: Transfer = (fd, bytes, position) =>
  new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, position, (e, n) => (e ? reject(e) : resolve(n)));
  });

const bytesOf = (data: HostArray) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Carries out one stretch completely; a problem is a value, so that none is lost while others are waited for. */
async function complete(transfer: Transfer, fd: number, s: Stretch): Promise<FileProblem | undefined> {
  try {
    for (let done = 0; done < s.bytes.length; ) {
      const moved = await transfer(fd, s.bytes.subarray(done), s.position + done);
      if (moved === 0) return new FileProblem(`ends at byte ${s.position + done}`);
      done += moved;
    }
    return undefined;
  } catch (cause) {
    return new FileProblem((cause as Error).message, (cause as NodeJS.ErrnoException).code);
  }
}

interface Stretch {
  part: number;
  bytes: Uint8Array;
  position: number;
}

function* stretches(parts: Iterable<PartToWrite>): Generator<Stretch> {
  let part = 0;
  for (const { data, offset } of parts) {
    const whole = bytesOf(data);
    for (let at = 0; at < whole.length; at += chunkBytes) {
      yield { part, bytes: whole.subarray(at, at + chunkBytes), position: offset + at };
    }
    part++;
  }
}

/** Transfers all parts, and hands their stretches to `moved` in order. @throws FileProblem, with nothing under way. */
async function transferAll(transfer: Transfer, fd: number, parts: Iterable<PartToWrite>, moved: (s: Stretch) => void) {
  const waiting = stretches(parts);
  const running: { stretch: Stretch; end: Promise<FileProblem | undefined> }[] = [];
  const start = () => {
    const { value: stretch, done } = waiting.next();
    if (!done) running.push({ stretch, end: complete(transfer, fd, stretch) });
  };
  try {
    for (let i = 0; i < underWay; i++) start();
    for (let first = running[0]; first; first = running[0]) {
      const problem = await first.end;
      running.shift();
      if (problem) throw problem;
      start();
      moved(first.stretch);
    }
  } finally {
    // Whoever opened the file may close it now, and the buffers may go.
    await Promise.all(running.map((r) => r.end));
  }
}

/** Reads parts into arrays of their own. @throws FileProblem when the file ends early or a checksum is wrong. */
export async function readParts(fd: number, parts: readonly FilePart[]): Promise<HostArray[]> {
  const made: HostArray[] = [];
  // Lazily: memory is asked for when its turn comes.
  function* rooms(): Generator<PartToWrite> {
    for (const p of parts) {
      const data = new hostArrays[p.dtype](p.length);
      made.push(data);
      yield { data, offset: p.offset };
    }
  }
  const sums = new Uint32Array(parts.length);
  await transferAll(readSome, fd, rooms(), (s) => {
    const sum = crc32(s.bytes, sums[s.part]!);
    sums[s.part] = sum;
    const p = parts[s.part]!;
    const end = p.offset + made[s.part]!.byteLength;
    if (s.position + s.bytes.length === end && sum !== p.crc) {
      throw new FileProblem(`bytes ${p.offset} to ${end} have the checksum ${hex(sum)} instead of ${hex(p.crc)}`);
    }
  });
  return made;
}

/** Writes parts to their places. @returns the CRC-32 of each. @throws FileProblem, e.g. with the code ENOSPC. */
export async function writeParts(fd: number, parts: readonly PartToWrite[]): Promise<number[]> {
  const sums = new Uint32Array(parts.length);
  await transferAll(writeSome, fd, parts, (s) => {
    sums[s.part] = crc32(s.bytes, sums[s.part]!);
  });
  return [...sums];
}

const hex = (n: number) => n.toString(16).padStart(8, '0');
