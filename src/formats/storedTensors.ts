// The part of reading that all formats share: find the tensor, check the rows, read its bytes by chunks, decode.
import { type ByteSource, HuacayaError, nearNames } from '../base/index.ts';
import { quote } from './quote.ts';
import { splitRows } from './shape.ts';
import type { TensorFile, TensorInfo } from './tensorFile.ts';

/** How a run of elements lies in bytes. `decode` fills `out` from whole blocks; `bytes` may start at any alignment. */
export interface TensorCodec {
  /** Elements in a block; 1 for plain numbers. */
  readonly blockSize: number;
  readonly blockBytes: number;
  decode(bytes: Uint8Array, out: Float32Array): void;
}

export interface StoredTensor {
  info: TensorInfo;
  /** Of the first byte, from the start of the file; the whole range was checked against the file's size. */
  offset: number;
}

/** A power of two, so a multiple of every block size: 4 MiB of float32, and never a second copy of a big tensor. */
const chunkElements = 1 << 20;

export function findTensor<T>(file: string, tensors: ReadonlyMap<string, T>, name: string): T {
  const found = tensors.get(name);
  if (found !== undefined) return found;
  const near = nearNames(name, [...tensors.keys()]);
  const nearest = near.length ? `nearest names: ${near.map(quote).join(', ')}` : 'and none with a similar name';
  throw new HuacayaError('TENSOR_NOT_FOUND', `${file}: no tensor ${quote(name)} among ${tensors.size}; ${nearest}`);
}

/** `readFloat32` of a TensorFile over one source. */
export function floatReader(
  source: ByteSource,
  tensors: ReadonlyMap<string, StoredTensor>,
  codecs: ReadonlyMap<string, TensorCodec>,
): TensorFile['readFloat32'] {
  return async (name, rowStart = 0, rowEnd) => {
    const { info, offset } = findTensor(source.name, tensors, name);
    const codec = codecs.get(info.dtype);
    if (!codec) {
      throw new HuacayaError('UNSUPPORTED_DTYPE', `${source.name}: tensor ${quote(name)} has type ${info.dtype}`, {
        hint: `Types that can be read: ${[...codecs.keys()].join(', ')}.`,
      });
    }
    const { end, rowLength } = checkRows(source.name, info, rowStart, rowEnd);
    const first = rowStart * rowLength;
    const out = allocateFloats(source.name, name, (end - rowStart) * rowLength);
    for (let done = 0; done < out.length; done += chunkElements) {
      const part = out.subarray(done, done + chunkElements);
      const start = offset + ((first + done) / codec.blockSize) * codec.blockBytes;
      codec.decode(await source.read(start, (part.length / codec.blockSize) * codec.blockBytes), part);
    }
    return out;
  };
}

/** @returns the end of the rows and the length of one. @throws HuacayaError ROW_RANGE. */
export function checkRows(
  file: string,
  { name, shape }: TensorInfo,
  start: number,
  rowEnd: number | undefined,
): { end: number; rowLength: number } {
  const { rows, rowLength } = splitRows(shape);
  const end = rowEnd ?? rows;
  if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= rows)) {
    throw new HuacayaError(
      'ROW_RANGE',
      `${file}: tensor ${quote(name)} has ${rows} row(s); asked for rows ${start} to ${end}`,
    );
  }
  return { end, rowLength };
}

/** @throws HuacayaError OUT_OF_MEMORY. */
export function allocateFloats(file: string, name: string, length: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch (cause) {
    throw new HuacayaError('OUT_OF_MEMORY', `${file}: tensor ${quote(name)} needs ${length * 4} bytes of memory`, {
      hint: 'Read it by rows, or use a machine with more memory.',
      cause,
    });
  }
}
