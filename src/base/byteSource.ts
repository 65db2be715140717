// A file, a blob or a buffer seen as "give me these bytes": parsers never know where bytes come from.
import { HuacayaError } from './errors.ts';

/** Random access to bytes. `read` never returns fewer bytes than asked for: it throws instead. */
export interface ByteSource {
  /** Name for error messages, e.g. the path. */
  readonly name: string;
  /** Total length in bytes. */
  readonly size: number;
  /** @throws HuacayaError TRUNCATED when [offset, offset + length) is not inside the source. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Checks a range before anything is allocated for it. */
export function checkRange(source: { name: string; size: number }, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= source.size)) {
    throw new HuacayaError(
      'TRUNCATED',
      `${source.name}: needs bytes ${offset} to ${offset + length}, but the file has ${source.size}`,
      { hint: 'The file is cut short or damaged: download or copy it again.' },
    );
  }
}

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const source = {
    name,
    size: bytes.length,
    async read(offset: number, length: number) {
      checkRange(source, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
  };
  return source;
}
