// Reads the data of a checkpoint's tensors: straight where they lie row by row, gathered where they do not.
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { plainCodecs } from './plainCodecs.ts';
import { quote } from './quote.ts';
import {
  allocateFloats,
  checkRows,
  findTensor,
  floatReader,
  type StoredTensor,
  type TensorCodec,
} from './storedTensors.ts';
import type { RawTensorFile } from './tensorFile.ts';
import type { TorchTensor } from './torchObjects.ts';
import { type Axis, axesOf, gather, isContiguous } from './torchStrided.ts';

export interface PlacedTensor extends StoredTensor {
  /** Where the tensor's storage begins in the file. */
  base: number;
  /** Of the tensor's first element in its storage. */
  start: number;
  axes: Axis[];
  elementBytes: number;
}

export function placeTensor(name: string, tensor: TorchTensor, offsets: ReadonlyMap<string, number>): PlacedTensor {
  const { storage, type, shape, strides, start } = tensor;
  const base = offsets.get(storage.key)!;
  const info = { name, dtype: type.dtype, shape };
  const axes = axesOf(shape, strides);
  return { info, base, offset: base + start * type.bytes, start, axes, elementBytes: type.bytes };
}

type Readers = Pick<RawTensorFile, 'readFloat32' | 'byteLength' | 'readBytes'>;

export function torchReaders(source: ByteSource, tensors: ReadonlyMap<string, PlacedTensor>): Readers {
  const readRowByRow = floatReader(source, tensors, plainCodecs);
  const find = (name: string) => findTensor(source.name, tensors, name);
  const byteLength = (name: string) => {
    const { info, elementBytes } = find(name);
    return info.shape.reduce((product, size) => product * size, elementBytes);
  };
  return {
    byteLength,
    async readFloat32(name, rowStart = 0, rowEnd) {
      const tensor = find(name);
      const codec = plainCodecs.get(tensor.info.dtype);
      if (!codec || isContiguous(tensor.axes)) return readRowByRow(name, rowStart, rowEnd);
      const { end, rowLength } = checkRows(source.name, tensor.info, rowStart, rowEnd);
      const out = allocateFloats(source.name, name, (end - rowStart) * rowLength);
      const [first, ...others] = tensor.axes;
      const isMatrix = others.length > 0;
      const axes = isMatrix ? [{ ...first!, length: end - rowStart }, ...others] : tensor.axes;
      const start = tensor.start + (isMatrix ? rowStart * first!.from : 0);
      await gather(floatLoader(source, tensor.base, codec), axes, start, out);
      return out;
    },
    async readBytes(name, start = 0, end) {
      const { offset, base, axes, elementBytes, start: first } = find(name);
      const length = byteLength(name);
      const stop = end ?? length;
      if (!(Number.isInteger(start) && Number.isInteger(stop) && start >= 0 && start <= stop && stop <= length)) {
        throw new HuacayaError(
          'BYTE_RANGE',
          `${source.name}: tensor ${quote(name)} has ${length} bytes; asked for bytes ${start} to ${stop}`,
        );
      }
      // An empty tensor may lie anywhere, beyond the file too.
      if (start === stop) return new Uint8Array(0);
      if (isContiguous(axes)) return source.read(offset + start, stop - start);
      // Bytes are one more, innermost dimension. All of the tensor is gathered: its bytes lie in no order to cut.
      const inBytes = axes.map(({ length, from, to }) => ({
        length,
        from: from * elementBytes,
        to: to * elementBytes,
      }));
      const out = new Uint8Array(length);
      const load = (from: number, count: number) => source.read(base + from, count);
      await gather(load, [...inBytes, { length: elementBytes, from: 1, to: 1 }], first * elementBytes, out);
      return out.subarray(start, stop);
    },
  };
}

/** Loads elements of a storage as numbers. */
function floatLoader(source: ByteSource, base: number, codec: TensorCodec) {
  return async (start: number, count: number) => {
    const values = new Float32Array(count);
    codec.decode(await source.read(base + start * codec.blockBytes, count * codec.blockBytes), values);
    return values;
  };
}
