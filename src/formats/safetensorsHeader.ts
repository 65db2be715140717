// The header of a safetensors file, read as strictly as the Rust reference does:
// https://github.com/huggingface/safetensors#format
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { isWellFormed, quote } from './quote.ts';
import { checkedProduct } from './shape.ts';
import type { StoredTensor } from './storedTensors.ts';
import { isJsonObject, parseStrictJson } from './strictJson.ts';

/** The reference's own cap: nobody should parse gigabytes of JSON because eight bytes say so. */
export const maxSafetensorsHeader = 100_000_000;

/** Bits of each type, in the order of alignment that the reference writer sorts tensors by (largest first). */
export const safetensorsBits: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
]);

export interface SafetensorsHeader {
  /** In the order of the data. */
  tensors: Map<string, StoredTensor>;
  metadata: Map<string, string>;
}

export function badSafetensors(file: string, why: string): HuacayaError {
  return new HuacayaError('BAD_SAFETENSORS', `${file}: ${why}`, {
    hint: 'The file is damaged or not a safetensors file: download or export it again.',
  });
}

/** @throws HuacayaError TRUNCATED, BAD_SAFETENSORS. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const bad = (why: string) => badSafetensors(source.name, why);
  const lead = await source.read(0, 8);
  const length = new DataView(lead.buffer, lead.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxSafetensorsHeader)) {
    throw bad(`the header claims ${length} bytes, more than the ${maxSafetensorsHeader} that a header may have`);
  }
  const headerEnd = 8 + Number(length);
  const text = decodeHeader(await source.read(8, Number(length)), bad);
  const root = parseStrictJson(text, (why) => bad(`the header ${why}`));
  if (!isJsonObject(root)) throw bad('the header is not a JSON object');
  const entries = Object.entries(root).filter(([name]) => name !== '__metadata__');
  const metadata = Object.hasOwn(root, '__metadata__') ? readMetadata(root.__metadata__, bad) : new Map();
  return { tensors: layOut(entries, headerEnd, source, bad), metadata };
}

type Bad = (why: string) => HuacayaError;

function decodeHeader(bytes: Uint8Array, bad: Bad): string {
  if (bytes[0] !== 0x7b) throw bad(`the header does not start with "{"`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw bad('the header is not UTF-8');
  }
}

function readMetadata(value: unknown, bad: Bad): Map<string, string> {
  if (!isJsonObject(value)) throw bad('__metadata__ is not an object of strings');
  const metadata = new Map<string, string>();
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') throw bad(`__metadata__ ${quote(key)} is not a string`);
    metadata.set(key, item);
  }
  return metadata;
}

/** Checks that the tensors fill the data exactly, one after another, and that each has the size of its shape. */
function layOut(entries: [string, unknown][], headerEnd: number, file: ByteSource, bad: Bad) {
  const dataBytes = file.size - headerEnd;
  const parsed = entries.map(([name, value]) => readEntry(name, value, bad));
  parsed.sort((a, b) => a.start - b.start || a.end - b.end);
  const tensors = new Map<string, StoredTensor>();
  let previousEnd = 0;
  for (const { name, dtype, shape, start, end } of parsed) {
    if (start !== previousEnd) {
      const fault = start < previousEnd ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw bad(`tensor ${quote(name)} ${fault}: it starts at byte ${start} of the data, not ${previousEnd}`);
    }
    if (end > dataBytes) {
      throw new HuacayaError(
        'TRUNCATED',
        `${file.name}: tensor ${quote(name)} ends at byte ${end} of the data, but there are ${dataBytes}`,
        { hint: 'The file is cut short: download or copy it again.' },
      );
    }
    tensors.set(name, { info: { name, dtype, shape }, offset: headerEnd + start });
    previousEnd = end;
  }
  if (previousEnd !== dataBytes)
    throw bad(`the tensors cover ${previousEnd} bytes of the data, which has ${dataBytes}`);
  return tensors;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(name: string, value: unknown, bad: Bad) {
  const tensor = `tensor ${quote(name)}`;
  if (!isWellFormed(name)) throw bad(`${tensor} has a name that is not well-formed Unicode`);
  if (!isJsonObject(value)) throw bad(`${tensor} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const bits = typeof dtype === 'string' ? safetensorsBits.get(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined) throw bad(`${tensor} has the unknown dtype ${json(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) throw bad(`${tensor} has the shape ${json(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1]) {
    throw bad(`${tensor} has the data_offsets ${json(offsets)}`);
  }
  const [start, end] = offsets as [number, number];
  const totalBits = checkedProduct([...(shape as number[]), bits]);
  if (totalBits === undefined || totalBits / 8 !== end - start) {
    const needs = totalBits === undefined ? 'more bytes than can be counted' : `${totalBits / 8} bytes`;
    throw bad(`${tensor}, ${dtype} ${json(shape)}, needs ${needs}, but its data_offsets span ${end - start}`);
  }
  return { name, dtype, shape: shape as number[], start, end };
}

/** A value from the header for a message, cut short. */
function json(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
