// Plain numbers, little endian, decoded to float32: the types that safetensors and GGUF have in common.
// Like all typed arrays here this relies on a little-endian machine, which every platform of Node is in practice.
import { bfloatArrayToFloat, halfArrayToFloat } from '../base/index.ts';
import type { TensorCodec } from './storedTensors.ts';

interface NumberArray<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

/** Sees bytes as numbers; copies them (not by `slice`: a Node Buffer's is a view) when they are not aligned. */
function viewAs<T>(ArrayType: NumberArray<T>, bytes: Uint8Array, length: number): T {
  const aligned = bytes.byteOffset % ArrayType.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new ArrayType(aligned.buffer, aligned.byteOffset, length);
}

function codec<T>(ArrayType: NumberArray<T>, convert: (values: T, out: Float32Array) => void): TensorCodec {
  return {
    blockSize: 1,
    blockBytes: ArrayType.BYTES_PER_ELEMENT,
    decode: (bytes, out) => convert(viewAs(ArrayType, bytes, out.length), out),
  };
}

const copy = (values: ArrayLike<number>, out: Float32Array) => out.set(values);

function copyBig(values: BigInt64Array | BigUint64Array, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = Number(values[i]);
}

export const plainCodecs: ReadonlyMap<string, TensorCodec> = new Map([
  ['F32', codec(Float32Array, copy)],
  ['F16', codec(Uint16Array, halfArrayToFloat)],
  ['BF16', codec(Uint16Array, bfloatArrayToFloat)],
  ['F64', codec(Float64Array, copy)],
  ['I64', codec(BigInt64Array, copyBig)],
  ['I32', codec(Int32Array, copy)],
  ['I16', codec(Int16Array, copy)],
  ['I8', codec(Int8Array, copy)],
  ['U64', codec(BigUint64Array, copyBig)],
  ['U32', codec(Uint32Array, copy)],
  ['U16', codec(Uint16Array, copy)],
  ['U8', codec(Uint8Array, copy)],
  ['BOOL', codec(Uint8Array, (values, out) => out.set(values.map((value) => (value ? 1 : 0))))],
]);
