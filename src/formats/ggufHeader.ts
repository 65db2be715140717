// The header of a GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
import { badGguf, type GgufCursor } from './ggufCursor.ts';
import { ggufLimits } from './ggufLimits.ts';
import { type GgufValue, readGgufValue } from './ggufValue.ts';
import { quote } from './quote.ts';

export interface GgufTensorEntry {
  name: string;
  /** Outermost first; the file has it the other way round. */
  shape: number[];
  typeId: number;
  /** From the start of the data section. */
  offset: number;
}

export interface GgufHeader {
  version: number;
  metadata: Map<string, GgufValue>;
  tensors: GgufTensorEntry[];
  /** Where the header ends, before the data section is aligned. */
  end: number;
}

const magic = 0x46554747; // 'GGUF'

/** @throws HuacayaError BAD_GGUF, TRUNCATED. */
export function readGgufHeader(cursor: GgufCursor): GgufHeader {
  const { name } = cursor.file;
  const start = cursor.u32();
  if (start !== magic) throw badGguf(name, `does not start with "GGUF"`);
  const version = cursor.u32();
  if (version !== 0 && (version & 0xffff) === 0)
    throw badGguf(name, 'is a big-endian GGUF file; only little endian is read');
  if (version !== 2 && version !== 3) throw badGguf(name, `is GGUF version ${version}; versions 2 and 3 are read`);
  // The shortest tensor: name length, dimension count, type, offset. The shortest key: length, value type, one byte.
  const tensorCount = cursor.count('the number of tensors', ggufLimits.tensors, 24);
  const keyCount = cursor.count('the number of keys', ggufLimits.keys, 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.shortName('a key');
    if (metadata.has(key)) throw badGguf(name, `has the key ${quote(key)} twice`);
    metadata.set(key, readGgufValue(cursor));
  }
  const tensors: GgufTensorEntry[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(readTensorEntry(cursor));
  return { version, metadata, tensors, end: cursor.position };
}

function readTensorEntry(cursor: GgufCursor): GgufTensorEntry {
  const name = cursor.shortName('a tensor name');
  const safe = (what: string, value: number | bigint): number => {
    if (typeof value === 'number') return value;
    throw badGguf(cursor.file.name, `tensor ${quote(name)} has ${what} ${value}`);
  };
  const dimensions = cursor.u32();
  if (dimensions > ggufLimits.dimensions) {
    throw badGguf(
      cursor.file.name,
      `tensor ${quote(name)} has ${dimensions} dimensions, the most is ${ggufLimits.dimensions}`,
    );
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) shape.unshift(safe('a dimension of', cursor.u64()));
  return { name, shape, typeId: cursor.u32(), offset: safe('the offset', cursor.u64()) };
}
