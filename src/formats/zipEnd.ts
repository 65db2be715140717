// Finds the central directory of a zip file: APPNOTE.TXT sections 4.3.14 to 4.3.16 (PKWARE), zip64 included.
import { type ByteSource, checkRange, HuacayaError } from '../base/index.ts';

export interface CentralDirectory {
  entries: number;
  offset: number;
  length: number;
}

export const zipLimits = {
  /** Files; a checkpoint has one a tensor and a handful beside. */
  entries: 1 << 17,
  /** Central directory; 131,072 entries with names of 400 characters. */
  directoryBytes: 1 << 26,
} as const;

const endBytes = 22;
const longestComment = 0xffff;
const locatorBytes = 20;
const end64Bytes = 56;

export function badZip(file: string, why: string): HuacayaError {
  return new HuacayaError('BAD_ZIP', `${file}: ${why}`, {
    hint: 'The file is damaged or not a zip archive: download it again.',
  });
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** u64 as a number; beyond 2^53 it is rounded, and far beyond every limit that it is held against. */
export function getSize64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

/** @throws HuacayaError BAD_ZIP. */
export async function findCentralDirectory(source: ByteSource): Promise<CentralDirectory> {
  const { name } = source;
  const tailLength = Math.min(source.size, endBytes + longestComment + locatorBytes);
  const tailStart = source.size - tailLength;
  const tail = viewOf(await source.read(tailStart, tailLength));
  const at = findEnd(tail);
  if (at === undefined) throw badZip(name, 'has no end record of a zip archive');
  const short = {
    disk: Math.max(tail.getUint16(at + 4, true), tail.getUint16(at + 6, true)),
    entriesHere: tail.getUint16(at + 8, true),
    entries: tail.getUint16(at + 10, true),
    length: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  const locator = at - locatorBytes;
  const isZip64 = locator >= 0 && tail.getUint32(locator, true) === 0x07064b50;
  const end64 = isZip64 ? getSize64(tail, locator + 8) : undefined;
  const directory = end64 === undefined ? short : await readEnd64(source, end64, tailStart + locator);
  if (directory.disk !== 0 && directory.disk !== 0xffff) throw badZip(name, 'is one part of a split archive');
  for (const [key, unknown] of [
    ['entries', 0xffff] as const,
    ['length', 2 ** 32 - 1] as const,
    ['offset', 2 ** 32 - 1] as const,
  ]) {
    if (short[key] !== directory[key] && short[key] !== unknown) {
      throw badZip(name, `has two end records that disagree on ${key}: ${short[key]} and ${directory[key]}`);
    }
  }
  const { entries, entriesHere, length, offset } = directory;
  if (entriesHere !== entries) throw badZip(name, `has ${entriesHere} of ${entries} entries on this disk`);
  if (entries > zipLimits.entries)
    throw badZip(name, `has ${entries} entries, the most accepted is ${zipLimits.entries}`);
  if (length > zipLimits.directoryBytes) {
    throw badZip(name, `has a directory of ${length} bytes, the most accepted is ${zipLimits.directoryBytes}`);
  }
  const mustEnd = end64 ?? tailStart + at;
  if (offset + length !== mustEnd) {
    throw badZip(name, `its directory ends at byte ${offset + length}, but the record after it starts at ${mustEnd}`);
  }
  return { entries, offset, length };
}

/** The last end record whose comment reaches exactly to the end of the file. */
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    if (tail.getUint32(at, true) !== 0x06054b50) continue;
    if (at + endBytes + tail.getUint16(at + 20, true) === tail.byteLength) return at;
  }
  return undefined;
}

async function readEnd64(source: ByteSource, offset: number, locator: number) {
  if (offset + end64Bytes > locator) {
    throw badZip(source.name, `its zip64 end record at ${offset} does not lie before its locator at ${locator}`);
  }
  checkRange(source, offset, end64Bytes);
  const end = viewOf(await source.read(offset, end64Bytes));
  if (end.getUint32(0, true) !== 0x06064b50) throw badZip(source.name, `has no zip64 end record at byte ${offset}`);
  return {
    disk: Math.max(end.getUint32(16, true), end.getUint32(20, true)),
    entriesHere: getSize64(end, 24),
    entries: getSize64(end, 32),
    length: getSize64(end, 40),
    offset: getSize64(end, 48),
  };
}
