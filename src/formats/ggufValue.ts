// Metadata values of GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
import { badGguf, type GgufCursor } from './ggufCursor.ts';
import { ggufLimits } from './ggufLimits.ts';

export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** 64-bit integers are numbers where that is exact, else bigints. Arrays of numbers up to 32 bits (and f64) are typed arrays. */
export type GgufValue = number | bigint | boolean | string | GgufNumbers | readonly GgufValue[];

const arrayType = 9;

/** Value type -> bytes of the shortest value, and how to read one or many. */
const valueTypes: readonly {
  bytes: number;
  one(cursor: GgufCursor): GgufValue;
  many?(buffer: ArrayBuffer): GgufNumbers;
}[] = [
  { bytes: 1, one: (c) => c.u8(), many: (b) => new Uint8Array(b) },
  { bytes: 1, one: (c) => c.i8(), many: (b) => new Int8Array(b) },
  { bytes: 2, one: (c) => c.u16(), many: (b) => new Uint16Array(b) },
  { bytes: 2, one: (c) => c.i16(), many: (b) => new Int16Array(b) },
  { bytes: 4, one: (c) => c.u32(), many: (b) => new Uint32Array(b) },
  { bytes: 4, one: (c) => c.i32(), many: (b) => new Int32Array(b) },
  { bytes: 4, one: (c) => c.f32(), many: (b) => new Float32Array(b) },
  { bytes: 1, one: readBoolean },
  { bytes: 8, one: (c) => c.string() },
  { bytes: 12, one: (c) => readArray(c, 1) },
  { bytes: 8, one: (c) => c.u64() },
  { bytes: 8, one: (c) => c.i64() },
  { bytes: 8, one: (c) => c.f64(), many: (b) => new Float64Array(b) },
];

/** Reads a value type and the value. @throws HuacayaError BAD_GGUF, TRUNCATED. */
export function readGgufValue(cursor: GgufCursor): GgufValue {
  return readType(cursor).one(cursor);
}

function readType(cursor: GgufCursor) {
  const id = cursor.u32();
  const type = valueTypes[id];
  if (!type) throw badGguf(cursor.file.name, `metadata value type ${id} at byte ${cursor.position - 4} is unknown`);
  return type;
}

function readBoolean(cursor: GgufCursor): boolean {
  const byte = cursor.u8();
  if (byte > 1) throw badGguf(cursor.file.name, `the boolean at byte ${cursor.position - 1} is ${byte}, not 0 or 1`);
  return byte === 1;
}

function readArray(cursor: GgufCursor, depth: number): GgufValue {
  if (depth > ggufLimits.arrayNesting) {
    throw badGguf(cursor.file.name, `arrays are nested deeper than ${ggufLimits.arrayNesting}`);
  }
  const type = readType(cursor);
  const length = cursor.count('the length of an array', ggufLimits.arrayLength, type.bytes);
  if (type.many) return type.many(cursor.copy(length * type.bytes));
  const one = type === valueTypes[arrayType] ? () => readArray(cursor, depth + 1) : type.one;
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(one(cursor));
  return values;
}
