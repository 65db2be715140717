// Writes a safetensors file in memory, byte for byte as the Rust reference would; meant for adapters, not for models.
import { usageError } from '../base/index.ts';
import { isWellFormed, quote } from './quote.ts';
import { safetensorsBits } from './safetensorsHeader.ts';
import { checkedProduct } from './shape.ts';

/** The array that holds each type; halves are their bits. A Uint8Array of ready bytes is taken for any of them. */
const arrayTypes = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
} as const;

export type SafetensorsDType = keyof typeof arrayTypes;

export interface TensorToEncode {
  name: string;
  dtype: SafetensorsDType;
  /** Outermost first. */
  shape: readonly number[];
  data: InstanceType<(typeof arrayTypes)[SafetensorsDType]>;
}

const order = [...safetensorsBits.keys()];

/**
 * Types with the largest alignment first, then by name, so that every tensor is aligned and equal tensors give equal
 * files whatever their order; the header is padded with spaces to a multiple of 8 bytes.
 * @throws HuacayaError USAGE when a shape and its data disagree, or a name is used twice or cannot be written.
 */
export function encodeSafetensors(
  tensors: readonly TensorToEncode[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const sorted = [...tensors].sort(
    (a, b) => order.indexOf(b.dtype) - order.indexOf(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const members: string[] = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const names = new Set(['__metadata__']);
  for (const text of Object.entries(metadata ?? {}).flat()) {
    if (typeof text !== 'string' || !isWellFormed(text))
      throw usageError(`metadata ${quote(String(text))} is not well-formed text`);
  }
  let end = 0;
  for (const tensor of sorted) {
    checkTensor(tensor, names);
    const start = end;
    end += tensor.data.byteLength;
    const { dtype, shape } = tensor;
    members.push(`${JSON.stringify(tensor.name)}:${JSON.stringify({ dtype, shape, data_offsets: [start, end] })}`);
  }
  const header = new TextEncoder().encode(`{${members.join(',')}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(header, 8);
  bytes.fill(0x20, 8 + header.length, 8 + headerBytes);
  let at = 8 + headerBytes;
  for (const { data } of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

function checkTensor({ name, dtype, shape, data }: TensorToEncode, names: Set<string>): void {
  if (names.has(name)) throw usageError(`tensor name ${quote(name)} is used twice or is reserved`);
  names.add(name);
  if (!isWellFormed(name)) throw usageError(`tensor name ${quote(name)} is not well-formed Unicode`);
  const ArrayType = Object.hasOwn(arrayTypes, dtype) ? arrayTypes[dtype] : undefined;
  if (!ArrayType) throw usageError(`tensor ${quote(name)}: dtype ${quote(String(dtype))} cannot be written`);
  if (!(data instanceof ArrayType || data instanceof Uint8Array)) {
    throw usageError(`tensor ${quote(name)}: ${dtype} needs a ${ArrayType.name}, got a ${data?.constructor?.name}`);
  }
  const bytes = shape.every((size) => Number.isSafeInteger(size) && size >= 0)
    ? checkedProduct([...shape, ArrayType.BYTES_PER_ELEMENT])
    : undefined;
  if (bytes !== data.byteLength) {
    throw usageError(
      `tensor ${quote(name)}: ${dtype} [${shape}] needs ${bytes ?? 'an impossible number of'} bytes, ` +
        `but its data has ${data.byteLength}`,
    );
  }
}
