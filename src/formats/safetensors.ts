// Opens a safetensors file: https://github.com/huggingface/safetensors#format
import type { ByteSource } from '../base/index.ts';
import { plainCodecs } from './plainCodecs.ts';
import { readSafetensorsHeader, type SafetensorsHeader } from './safetensorsHeader.ts';
import { floatReader } from './storedTensors.ts';
import type { TensorFile } from './tensorFile.ts';

export interface SafetensorsFile extends TensorFile {
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
    close: () => source.close(),
  };
}
