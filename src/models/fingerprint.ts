// Tells whether the files of a model are still the same, without reading them whole: a 7B model would take a minute.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileError } from '../base/node.ts';

const startBytes = 1 << 20;
const sampleBytes = 16 << 10;
const samples = 64;

/**
 * One line for a list of files: equal only if no file was written to in between. What changes a file also changes its times
 * of modification and of change (which no program can set back, so moving a file changes it too); where a file system keeps
 * none, its size, its start and samples spread over it still differ for other weights of the same shapes. The name of a blob
 * of the hub is no help: it says what was downloaded, and programs that save to the folder write through the links.
 * @returns sha256 in hexadecimal. @throws HuacayaError FILE_NOT_FOUND / FILE_UNREADABLE.
 */
export async function fingerprintFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'r');
      const { size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true });
      hash.update(JSON.stringify([basename(path), `${size}`, `${mtimeNs}`, `${ctimeNs}`]));
      const length = Number(size);
      hash.update(await stretch(handle, 0, startBytes));
      for (let i = 1; i <= samples; i++) {
        const at = Math.floor((i / samples) * (length - sampleBytes));
        if (at > startBytes) hash.update(await stretch(handle, at, sampleBytes));
      }
    } catch (cause) {
      throw fileError(path, cause);
    } finally {
      await handle?.close();
    }
  }
  return hash.digest('hex');
}

/** As many of the bytes as there are. */
async function stretch(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
