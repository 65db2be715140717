// The entries of a zip's central directory, as they stand there: APPNOTE.TXT (PKWARE) sections 4.3.12 and 4.5.3.
import type { HuacayaError } from '../base/index.ts';
import { quote } from './quote.ts';
import { getSize64, viewOf } from './zipEnd.ts';

export interface DirectoryEntry {
  name: string;
  nameBytes: Uint8Array;
  flags: number;
  method: 0 | 8;
  /** Of the entry's own header. */
  localOffset: number;
  compressedSize: number;
  uncompressedSize: number;
  crc32: number;
}

/** Bits of the flags that change how an entry is read. */
export const zipFlags = { encrypted: 1, sizesFollow: 8, patch: 32, strongEncryption: 64, masked: 1 << 13 } as const;

/** Stands for "see the zip64 field". */
const absent32 = 0xffffffff;
const directoryBytes = 46;
/** Of the external attributes: MS-DOS's mark of a folder, at which some readers skip the data. */
const folderMark = 0x10;
/** Deflate's best case: 258 bytes for two bits. */
const bestDeflateRatio = 1032;

export type Bad = (why: string) => HuacayaError;

/** @throws HuacayaError (made by `bad`) unless the bytes are exactly `count` acceptable entries. */
export function parseDirectory(bytes: Uint8Array, count: number, bad: Bad): DirectoryEntry[] {
  const view = viewOf(bytes);
  const entries: DirectoryEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + directoryBytes > bytes.length) throw bad(`its directory ends within entry ${i} of ${count}`);
    if (view.getUint32(at, true) !== 0x02014b50) throw bad(`its directory has no entry ${i} of ${count}`);
    const nameEnd = at + directoryBytes + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const end = extraEnd + view.getUint16(at + 32, true);
    if (end > bytes.length) throw bad(`its directory ends within entry ${i} of ${count}`);
    const nameBytes = bytes.subarray(at + directoryBytes, nameEnd);
    const name = decodeName(nameBytes, bad);
    const [uncompressedSize, compressedSize, localOffset] = widen(
      [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)],
      bytes.subarray(nameEnd, extraEnd),
      () => bad(`entry ${quote(name)} lacks its zip64 sizes`),
    );
    if (view.getUint32(at + 38, true) & folderMark && !name.endsWith('/'))
      throw bad(`entry ${quote(name)} is marked as a folder`);
    const method = view.getUint16(at + 10, true);
    const flags = view.getUint16(at + 8, true);
    if (flags & (zipFlags.encrypted | zipFlags.strongEncryption | zipFlags.masked))
      throw bad(`entry ${quote(name)} is encrypted`);
    if (flags & zipFlags.patch) throw bad(`entry ${quote(name)} is a patch`);
    if (method !== 0 && method !== 8) throw bad(`entry ${quote(name)} uses compression method ${method}, not 0 or 8`);
    const most = method === 0 ? compressedSize : compressedSize * bestDeflateRatio;
    if (uncompressedSize > most || (method === 0 && uncompressedSize < most)) {
      throw bad(`entry ${quote(name)} claims ${uncompressedSize} bytes in ${compressedSize} with method ${method}`);
    }
    const crc32 = view.getUint32(at + 16, true);
    entries.push({ name, nameBytes, flags, method, localOffset, compressedSize, uncompressedSize, crc32 });
    at = end;
  }
  if (at !== bytes.length) throw bad(`its directory has ${bytes.length - at} bytes beyond its ${count} entries`);
  return entries;
}

function decodeName(bytes: Uint8Array, bad: Bad): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw bad('an entry has a name that is not UTF-8');
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const unsafe = name === '' || /^\/|^[a-z]:|\\|[\u0000-\u001f]/i.test(name) || name.split('/').includes('..');
  if (unsafe) throw bad(`entry ${quote(name)} has a name that could lead out of a folder`);
  return name;
}

/** Replaces the 32-bit fields that say "see zip64" by the 64-bit ones, which follow one another in extra field 1. */
export function widen(fields: [number, number, number], extra: Uint8Array, missing: () => HuacayaError) {
  if (!fields.includes(absent32)) return fields;
  const view = viewOf(extra);
  let [at, end] = findExtra(view, 1) ?? [0, 0];
  return fields.map((field) => {
    if (field !== absent32) return field;
    if (at + 8 > end) throw missing();
    at += 8;
    return getSize64(view, at - 8);
  }) as [number, number, number];
}

function findExtra(view: DataView, wanted: number): [number, number] | undefined {
  for (let at = 0; at + 4 <= view.byteLength; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > view.byteLength) return undefined;
    if (view.getUint16(at, true) === wanted) return [at + 4, end];
    at = end;
  }
  return undefined;
}
