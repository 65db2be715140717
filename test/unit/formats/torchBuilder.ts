// Writes pickles opcode by opcode and PyTorch files around them, such as no torch would write.
import { crc32 } from '../../../src/formats/torchCrc.ts';
import { buildZip, type ZipParts } from './zipBuilder.ts';

export type Part = string | number[] | Uint8Array;

/** Strings are taken byte by byte (latin1), so that opcodes can be written as characters. */
export function join(...parts: Part[]): Uint8Array {
  const lists = parts.map((part) =>
    typeof part === 'string' ? new Uint8Array(Buffer.from(part, 'latin1')) : Uint8Array.from(part),
  );
  const bytes = new Uint8Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    bytes.set(list, at);
    at += list.length;
  }
  return bytes;
}

export const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
export const u64 = (value: number | bigint) =>
  Array.from({ length: 8 }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
/** SHORT_BINUNICODE */
export const str = (text: string) => {
  const bytes = new TextEncoder().encode(text);
  return join([0x8c, bytes.length], bytes);
};
/** BININT */
export const int = (value: number) => join('J', u32(value));
export const tuple = (...items: Part[]) => join('(', ...items, 't');
export const global = (module: string, name: string) => join('c', new TextEncoder().encode(`${module}\n${name}\n`));
export const stackGlobal = (module: string, name: string) => join(str(module), str(name), [0x93]);
export const call = (callable: Part, ...args: Part[]) => join(callable, tuple(...args), 'R');

export const storage = (key = '0', elements = 4, type = 'FloatStorage', ...more: Part[]) =>
  join(tuple(str('storage'), global('torch', type), str(key), str('cpu'), int(elements), ...more), 'Q');

export interface TensorParts {
  storage?: Part;
  offset?: Part;
  size?: Part;
  stride?: Part;
  more?: Part[];
}
export const rebuild = global('torch._utils', '_rebuild_tensor_v2');
export const tensor = (parts: TensorParts = {}) =>
  call(
    rebuild,
    parts.storage ?? storage(),
    parts.offset ?? int(0),
    parts.size ?? tuple(int(4)),
    parts.stride ?? tuple(int(1)),
    [0x89],
    call(global('collections', 'OrderedDict')),
    ...(parts.more ?? []),
  );

/** A pickle of one value. */
export const pickle = (value: Part, protocol = 2) => join([0x80, protocol], value, '.');
/** A dict with one tensor 'w' and one more value. */
export const besideTensor = (value: Part) => join('}(', str('w'), tensor(), str('x'), value, 'u');

export type Files = NonNullable<ZipParts['files']>;
export const entry = (name: string, data: string | Uint8Array, more: Partial<Files[number]> = {}): Files[number] => {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  return { name, data: bytes, ...more, both: { crc: crc32(bytes), ...more.both } };
};

/** Four float32 numbers: 1, 2, 3, 4. */
export const fourFloats = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);

export function torchZip(data: Uint8Array, more: Files = [], storageBytes: Uint8Array = fourFloats): Uint8Array {
  return buildZip({
    files: [entry('a/data.pkl', data), entry('a/byteorder', 'little'), entry('a/data/0', storageBytes), ...more],
  });
}

export const magic = pickle(join([0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]));
export const protocol = pickle(int(1001));
export const machine = pickle(join('}', str('little_endian'), [0x88], 's'));
export const keys = pickle(join(']', str('0'), 'a'));

/** The five pickles, each of which can be another, and one storage of four floats. */
export function torchLegacy(object: Part, others: Partial<Record<0 | 1 | 2 | 4 | 5, Part>> = {}): Uint8Array {
  const parts: Part[] = [magic, protocol, machine, object, keys, join(u64(4), fourFloats)];
  for (const [at, part] of Object.entries(others)) parts[Number(at)] = part;
  return join(...parts);
}
