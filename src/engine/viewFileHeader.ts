// The format of a view file: device buffers as they are, and the named views of them.
//   "huacayaV", version u32, length u32 and CRC-32 u32 of the header, header as JSON (padded with spaces), then each
//   buffer at a multiple of 4096 bytes. All numbers are little-endian, as the buffers are.
import { HuacayaError } from '../base/index.ts';
import type { DType } from '../graph/index.ts';
import { elementCount, type FilePart, hostArrays } from './runtime.ts';

export interface ViewFileHeader {
  /** What the views were made from and how; only the caller understands it. */
  key: string;
  buffers: readonly FilePart[];
  views: readonly NamedView[];
  /** Length of the whole file in bytes. */
  size: number;
}

export interface NamedView {
  name: string;
  /** Index into `buffers`. */
  buffer: number;
  /** First element. */
  offset: number;
  shape: readonly number[];
}

/** Raise it when the format changes: other versions are refused. */
const version = 1;
const magic = 'huacayaV';
export const preambleBytes = 20;
const alignment = 4096;
/** A header of a 70B model has about half a megabyte. */
const mostHeaderBytes = 64 << 20;

const aligned = (n: number) => Math.ceil(n / alignment) * alignment;
const bytesOf = (b: { dtype: DType; length: number }) => b.length * hostArrays[b.dtype].BYTES_PER_ELEMENT;

/** Places of buffers in a file whose data starts at `start`. */
function place(buffers: readonly { dtype: DType; length: number }[], start: number) {
  let end = start;
  const offsets = buffers.map((b) => {
    const offset = aligned(end);
    end = offset + bytesOf(b);
    return offset;
  });
  return { offsets, size: end };
}

export interface ViewFilePlan {
  /** Where each buffer goes. */
  offsets: readonly number[];
  size: number;
  /** The start of the file, once the checksums are known; as long as was planned for. */
  header(checksums: readonly number[]): Uint8Array;
}

/** Lays a file out before its checksums are known. `crc32` is node:zlib's. */
export function planViewFile(
  key: string,
  buffers: readonly { dtype: DType; length: number }[],
  views: readonly NamedView[],
  crc32: (bytes: Uint8Array) => number,
): ViewFilePlan {
  const rows = views.map((v) => [v.name, v.buffer, v.offset, v.shape]);
  const json = (sums: readonly number[]) =>
    JSON.stringify({ key, buffers: buffers.map((b, i) => [b.dtype, b.length, sums[i]]), views: rows });
  // The longest that it can get.
  const longest = new TextEncoder().encode(json(buffers.map(() => 0xffffffff))).length;
  const start = aligned(preambleBytes + longest);
  const { offsets, size } = place(buffers, start);
  const header = (checksums: readonly number[]) => {
    const made = new Uint8Array(start).fill(0x20);
    const text = made.subarray(preambleBytes);
    new TextEncoder().encodeInto(json(checksums), text);
    new TextEncoder().encodeInto(magic, made);
    const numbers = new DataView(made.buffer);
    numbers.setUint32(8, version, true);
    numbers.setUint32(12, text.length, true);
    numbers.setUint32(16, crc32(text), true);
    return made;
  };
  return { offsets, size, header };
}

const bad = (message: string) => new HuacayaError('BAD_VIEW_FILE', message);

/** Length of the header that follows the preamble. @throws HuacayaError BAD_VIEW_FILE. */
export function headerLength(preamble: Uint8Array, fileSize: number): number {
  if (preamble.length < preambleBytes) throw bad(`has only ${fileSize} bytes`);
  const numbers = new DataView(preamble.buffer, preamble.byteOffset);
  const start = String.fromCharCode(...preamble.subarray(0, magic.length));
  if (start !== magic) throw bad('is not a view file');
  if (numbers.getUint32(8, true) !== version) {
    throw bad(`has version ${numbers.getUint32(8, true)} of its format, this program writes ${version}`);
  }
  const length = numbers.getUint32(12, true);
  if (length > Math.min(fileSize - preambleBytes, mostHeaderBytes)) {
    throw bad(`claims a header of ${length} bytes, but has ${fileSize} bytes`);
  }
  return length;
}

/**
 * Reads the header. What it says is consistent with the file's size and with itself afterwards.
 * @param bytes what follows the preamble. @throws HuacayaError BAD_VIEW_FILE.
 */
export function parseViewFileHeader(
  preamble: Uint8Array,
  bytes: Uint8Array,
  fileSize: number,
  crc32: (bytes: Uint8Array) => number,
): ViewFileHeader {
  const sum = new DataView(preamble.buffer, preamble.byteOffset).getUint32(16, true);
  if (crc32(bytes) !== sum) throw bad('has a damaged header');
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad('has a header that is not JSON');
  }
  const { key, buffers, views } = (found ?? {}) as Record<string, unknown>;
  if (typeof key !== 'string' || !Array.isArray(buffers) || !Array.isArray(views))
    throw bad('has an incomplete header');
  const parts = buffers.map(checkBuffer);
  const { offsets, size } = place(parts, preambleBytes + bytes.length);
  if (size !== fileSize) throw bad(`has ${fileSize} bytes instead of ${size}`);
  const names = new Set<string>();
  const checked = views.map((v) => checkView(v, parts, names));
  return { key, buffers: parts.map((p, i) => ({ ...p, offset: offsets[i]! })), views: checked, size };
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

function checkBuffer(row: unknown): Omit<FilePart, 'offset'> {
  const [dtype, length, crc] = Array.isArray(row) ? row : [];
  if (typeof dtype !== 'string' || !Object.hasOwn(hostArrays, dtype) || !isCount(length) || !isCount(crc)) {
    throw bad(`describes a buffer as ${JSON.stringify(row)}`);
  }
  return { dtype: dtype as DType, length, crc };
}

function checkView(row: unknown, buffers: readonly { length: number }[], names: Set<string>): NamedView {
  const [name, buffer, offset, shape] = Array.isArray(row) ? row : [];
  const fits =
    typeof name === 'string' &&
    isCount(buffer) &&
    buffer < buffers.length &&
    isCount(offset) &&
    Array.isArray(shape) &&
    shape.every(isCount) &&
    offset + elementCount(shape) <= buffers[buffer]!.length;
  if (!fits) throw bad(`describes a view as ${JSON.stringify(row)}`);
  if (names.has(name)) throw bad(`has two views ${name}`);
  names.add(name);
  return { name, buffer, offset, shape };
}
