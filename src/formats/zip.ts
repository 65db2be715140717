// Lists what is in a zip file (the outer shape of torch checkpoints and .npz); inflating is left to the caller.
// APPNOTE.TXT (PKWARE) sections 4.3 to 4.5. Both headers of an entry must agree, and no two entries share bytes.
import type { ByteSource } from '../base/index.ts';
import { quote } from './quote.ts';
import { badZip, findCentralDirectory, viewOf } from './zipEnd.ts';
import { type Bad, type DirectoryEntry, parseDirectory, widen, zipFlags } from './zipEntries.ts';

export interface ZipEntry {
  name: string;
  /** 0 stored, 8 deflate. */
  method: 0 | 8;
  /** Of the entry's (compressed) bytes, from the start of the file; checked to lie in the file. */
  dataOffset: number;
  compressedSize: number;
  /** Equals `compressedSize` when stored; never more than deflate can pack into `compressedSize` bytes. */
  uncompressedSize: number;
  /** Of the uncompressed bytes, unsigned. Nobody has checked it yet. */
  crc32: number;
}

const localBytes = 30;
const anyFlag = Object.values(zipFlags).reduce((all, bit) => all | bit, 0);

/**
 * Name -> entry, in the order of the directory; entries that stand for folders are left out.
 * @throws HuacayaError BAD_ZIP (damage, encryption, other compression, names that lead out of a folder), TRUNCATED.
 */
export async function readZipDirectory(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const bad = (why: string) => badZip(source.name, why);
  const directory = await findCentralDirectory(source);
  const bytes = await source.read(directory.offset, directory.length);
  const listed = parseDirectory(bytes, directory.entries, bad);
  const entries = new Map<string, ZipEntry>();
  const spans: { start: number; end: number; name: string }[] = [];
  for (const { nameBytes, flags, localOffset, ...rest } of listed) {
    const dataOffset = await checkLocal(source, { nameBytes, flags, localOffset, ...rest }, directory.offset, bad);
    spans.push({ start: localOffset, end: dataOffset + rest.compressedSize, name: rest.name });
    if (entries.has(rest.name)) throw bad(`has the entry ${quote(rest.name)} twice`);
    if (!rest.name.endsWith('/')) entries.set(rest.name, { ...rest, dataOffset });
  }
  spans.sort((a, b) => a.start - b.start);
  for (let i = 1; i < spans.length; i++) {
    if (spans[i].start >= spans[i - 1].end) continue;
    throw bad(`entries ${quote(spans[i - 1].name)} and ${quote(spans[i].name)} share bytes`);
  }
  return entries;
}

/** Holds the entry's own header against the directory. Returns where its data starts. */
async function checkLocal(source: ByteSource, entry: DirectoryEntry, limit: number, bad: Bad): Promise<number> {
  const name = quote(entry.name);
  const outside = () => bad(`entry ${name} does not lie before the directory at byte ${limit}`);
  const nameEnd = entry.localOffset + localBytes + entry.nameBytes.length;
  if (nameEnd > limit) throw outside();
  const bytes = await source.read(entry.localOffset, localBytes + entry.nameBytes.length);
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== 0x04034b50) throw bad(`entry ${name} has no header at byte ${entry.localOffset}`);
  const differs = (what: string) => bad(`entry ${name}: its header and the directory disagree on its ${what}`);
  if (view.getUint16(26, true) !== entry.nameBytes.length) throw differs('name');
  if (!entry.nameBytes.every((byte, i) => byte === bytes[localBytes + i])) throw differs('name');
  if (view.getUint16(8, true) !== entry.method) throw differs('compression method');
  if ((view.getUint16(6, true) ^ entry.flags) & anyFlag) throw differs('flags');
  const extraLength = view.getUint16(28, true);
  const dataOffset = nameEnd + extraLength;
  if (dataOffset + entry.compressedSize > limit) throw outside();
  const extra = await source.read(nameEnd, extraLength);
  const [uncompressed, compressed] = widen([view.getUint32(22, true), view.getUint32(18, true), 0], extra, () =>
    differs('zip64 sizes'),
  );
  const later = (entry.flags & zipFlags.sizesFollow) !== 0;
  const agrees = (value: number, wanted: number) => value === wanted || (later && value === 0);
  if (!agrees(uncompressed, entry.uncompressedSize)) throw differs('uncompressed size');
  if (!agrees(compressed, entry.compressedSize)) throw differs('compressed size');
  if (!agrees(view.getUint32(14, true), entry.crc32)) throw differs('crc32');
  return dataOffset;
}
