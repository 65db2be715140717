// Named views of device buffers in a file: written once, read back bit by bit without passing through the host.
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { HuacayaError } from '../base/index.ts';
import { fileError } from '../base/node.ts';
import {
  type ConstantFile,
  type DeviceBuffer,
  type DeviceFiles,
  elementCount,
  hostArrays,
  type Runtime,
  type View,
  view,
} from './runtime.ts';
import {
  headerLength,
  type NamedView,
  parseViewFileHeader,
  planViewFile,
  preambleBytes,
  type ViewFileHeader,
} from './viewFileHeader.ts';

function filesOf(runtime: Runtime): DeviceFiles {
  if (!runtime.files) throw new Error('internal: this engine has no files');
  return runtime.files;
}

/** Each buffer once, however many views show it. */
function buffersOf(views: ReadonlyMap<string, View>) {
  const buffers: DeviceBuffer[] = [];
  const indices = new Map<number, number>();
  const named: NamedView[] = [];
  for (const [name, v] of views) {
    if (!indices.has(v.buffer.id)) {
      indices.set(v.buffer.id, buffers.length);
      buffers.push(v.buffer);
    }
    named.push({ name, buffer: indices.get(v.buffer.id)!, offset: v.offset, shape: v.shape });
  }
  return { buffers, named };
}

/** Length of the file that `saveViews` would write, in bytes. */
export function viewFileSize(key: string, views: ReadonlyMap<string, View>): number {
  const { buffers, named } = buffersOf(views);
  return planViewFile(key, buffers, named, crc32).size;
}

/**
 * Writes views, and the whole buffers that they are parts of. The file appears complete or not at all: of two processes
 * that write the same one, the last wins.
 * @param key what is in it; `loadViews` asks for the same.
 * @throws HuacayaError NO_SPACE, FILE_UNREADABLE; ENGINE when something failed that was queued before.
 */
export async function saveViews(
  runtime: Runtime,
  path: string,
  key: string,
  views: ReadonlyMap<string, View>,
): Promise<void> {
  const files = filesOf(runtime);
  const { buffers, named } = buffersOf(views);
  const plan = planViewFile(key, buffers, named, crc32);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(temporary, 'wx');
    try {
      const places = buffers.map((buffer, i) => ({ buffer, offset: plan.offsets[i]! }));
      const checksums = await files.store(handle.fd, places);
      await writeAll(handle, plan.header(checksums));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw cause instanceof HuacayaError ? cause : fileError(path, cause);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, done)).bytesWritten;
  }
}

async function readStart(handle: FileHandle, start: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, start + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function readHeader(handle: FileHandle): Promise<ViewFileHeader> {
  const { size } = await handle.stat();
  const preamble = await readStart(handle, 0, preambleBytes);
  const header = await readStart(handle, preambleBytes, headerLength(preamble, size));
  return parseViewFileHeader(preamble, header, size, crc32);
}

/**
 * Reads views back. Nothing is left on the device unless all of it is there, bit by bit.
 * @throws HuacayaError FILE_NOT_FOUND; FILE_UNREADABLE; BAD_VIEW_FILE when the file is damaged, incomplete or something else,
 * OTHER_VIEW_FILE when it was saved under another key; ENGINE when something failed that was queued before.
 */
export async function loadViews(runtime: Runtime, path: string, key: string): Promise<Map<string, View>> {
  const files = filesOf(runtime);
  const handle = await open(path, 'r').catch((cause) => {
    throw fileError(path, cause);
  });
  try {
    const header = await readHeader(handle);
    if (header.key !== key) throw new HuacayaError('OTHER_VIEW_FILE', 'was made from something else');
    const buffers = await files.load(handle.fd, header.buffers);
    return new Map(header.views.map((v) => [v.name, view(buffers[v.buffer]!, v.shape, v.offset)]));
  } catch (cause) {
    if (!(cause instanceof HuacayaError)) throw fileError(path, cause);
    if (cause.code !== 'BAD_VIEW_FILE' && cause.code !== 'OTHER_VIEW_FILE') throw cause;
    throw new HuacayaError(cause.code, `${path}: ${cause.message}`);
  } finally {
    await handle.close();
  }
}

/**
 * The views of a file as constants for programs. `verify` reads the whole file, so it is apart: kernels can be made meanwhile.
 * @throws HuacayaError FILE_NOT_FOUND, FILE_UNREADABLE, BAD_VIEW_FILE, OTHER_VIEW_FILE.
 */
export async function openConstants(path: string, key: string): Promise<ConstantFile & { verify(): Promise<void> }> {
  const handle = await open(path, 'r').catch((cause) => {
    throw fileError(path, cause);
  });
  const damaged = (cause: unknown) =>
    cause instanceof HuacayaError ? new HuacayaError(cause.code, `${path}: ${cause.message}`) : fileError(path, cause);
  const header = await readHeader(handle)
    .catch((cause) => {
      throw damaged(cause);
    })
    .finally(() => handle.close());
  if (header.key !== key) throw damaged(new HuacayaError('OTHER_VIEW_FILE', 'was made from something else'));
  const parts = header.views.map((v) => {
    const buffer = header.buffers[v.buffer]!;
    const bytes = hostArrays[buffer.dtype].BYTES_PER_ELEMENT;
    return [v.name, { offset: buffer.offset + v.offset * bytes, length: elementCount(v.shape) * bytes }] as const;
  });
  return {
    path: resolve(path),
    parts: Object.fromEntries(parts),
    async verify() {
      const file = await open(path, 'r').catch((cause) => {
        throw fileError(path, cause);
      });
      try {
        for (const b of header.buffers) {
          const length = b.length * hostArrays[b.dtype].BYTES_PER_ELEMENT;
          let sum = 0;
          for (let done = 0; done < length; done += verifyChunk) {
            sum = crc32(await readStart(file, b.offset + done, Math.min(verifyChunk, length - done)), sum);
          }
          if (sum !== b.crc) throw new HuacayaError('BAD_VIEW_FILE', 'is damaged: a checksum does not fit');
        }
      } catch (cause) {
        throw damaged(cause);
      } finally {
        await file.close();
      }
    },
  };
}

/** Summed in about a millisecond, so that nobody waits for it. */
const verifyChunk = 2 << 20;
