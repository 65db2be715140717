// Opens a safetensors file: https://github.com/huggingface/safetensors#format
import { type ByteSource, HuacayaError } from '../base/index.ts';
import { plainCodecs } from './plainCodecs.ts';
import { quote } from './quote.ts';
import { readSafetensorsHeader, type SafetensorsHeader, safetensorsBits } from './safetensorsHeader.ts';
import { findTensor, floatReader } from './storedTensors.ts';
import type { RawTensorFile, TensorInfo } from './tensorFile.ts';

export interface SafetensorsFile extends RawTensorFile {
  /** The `__metadata__` of the header, empty when there is none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads the header only. Takes `source` over: closing the file, or failing to open it, closes the source.
 * @throws HuacayaError TRUNCATED, BAD_SAFETENSORS.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  try {
    return safetensorsFile(source, await readSafetensorsHeader(source));
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** A file whose header has been read already. */
export function safetensorsFile(source: ByteSource, header: SafetensorsHeader): SafetensorsFile {
  return {
    name: source.name,
    tensors: new Map([...header.tensors].map(([name, { info }]) => [name, info])),
    metadata: header.metadata,
    readFloat32: floatReader(source, header.tensors, plainCodecs),
    byteLength: (name) => byteLength(findTensor(source.name, header.tensors, name).info),
    async readBytes(name, start = 0, end) {
      const { info, offset } = findTensor(source.name, header.tensors, name);
      const length = byteLength(info);
      const stop = end ?? length;
      if (!(Number.isInteger(start) && Number.isInteger(stop) && start >= 0 && start <= stop && stop <= length)) {
        throw new HuacayaError(
          'BYTE_RANGE',
          `${source.name}: tensor ${quote(name)} has ${length} bytes; asked for bytes ${start} to ${stop}`,
        );
      }
      return source.read(offset + start, stop - start);
    },
    close: () => source.close(),
  };
}

/** The header has been checked: the product is exact, and whole bytes. */
export function byteLength({ dtype, shape }: TensorInfo): number {
  return (shape.reduce((product, size) => product * size, 1) * safetensorsBits.get(dtype)!) / 8;
}
