// What the layouts of bitsandbytes have in common: the tensors that lie beside X.weight, checked before they are read.
import { HuacayaError } from '../base/index.ts';
import { badQuantisation, type Nf4Codes } from '../formats/index.ts';
import type { TensorReader } from './weights.ts';

/** What is needed beside float32: bytes as they are stored. */
export interface RawTensorReader extends TensorReader {
  byteLength(name: string): number;
  readBytes(name: string, start?: number, end?: number): Promise<Uint8Array>;
}

export interface QuantisedMatrix {
  /** Rows [first, last) in float32. */
  read(first: number, last: number): Promise<Float32Array<ArrayBuffer>>;
  /** As it is stored, where that is NF4 with blocks of `nf4Block`. */
  readNf4?(): Promise<Nf4Codes>;
}

/** Elements in a piece that is read and expanded at once: even, so that a piece of 4-bit codes starts with a byte. */
export const pieceElements = 1 << 20;

/** @throws when the tensor is missing, or is not so many numbers of that type. */
export function checkPart(file: RawTensorReader, name: string, dtype: string, count: number): void {
  const found = file.tensors.get(name);
  if (!found) {
    throw new HuacayaError('MISSING_TENSOR', `${file.name}: has no tensor ${name}`, {
      hint: 'The checkpoint is incomplete: download it again.',
    });
  }
  const elements = found.shape.reduce((product, size) => product * size, 1);
  if (found.dtype !== dtype || elements !== count) {
    throw badQuantisation(
      file.name,
      `${name} is ${found.dtype} [${found.shape.join(', ')}], expected ${count} numbers of type ${dtype}`,
    );
  }
}

/** Numbers [first, last) of a vector. */
export async function readFloats(file: RawTensorReader, name: string, first: number, last: number) {
  // A copy, because a view of the file need not be aligned.
  const bytes = new Uint8Array(await file.readBytes(name, first * 4, last * 4));
  return new Float32Array(bytes.buffer);
}
