// The part of `base` that needs Node: files opened for random access, and writes that are complete or absent.
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { type ByteSource, checkRange } from './byteSource.ts';
import { HuacayaError, usageError } from './errors.ts';

export { isAlive, machineName } from './processes.ts';

/** Opens a file for random access. @throws HuacayaError FILE_NOT_FOUND / FILE_UNREADABLE. */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    throw fileError(path, cause);
  }
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    throw new HuacayaError('FILE_UNREADABLE', `${path}: is not a file`);
  }
  const source = {
    name: path,
    size: info.size,
    async read(offset: number, length: number) {
      checkRange(source, offset, length);
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        // The file shrank after it was opened.
        if (bytesRead === 0) checkRange({ name: path, size: offset + done }, offset, length);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
  return source;
}

/** Turns an errno from the file system into one clear line. */
export function fileError(path: string, cause: unknown): HuacayaError {
  const errno = (cause as NodeJS.ErrnoException)?.code;
  if (errno === 'ENOENT') return new HuacayaError('FILE_NOT_FOUND', `${path}: no such file or folder`, { cause });
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new HuacayaError('NO_SPACE', `${path}: no space left on the disk`, {
      hint: 'Free some space or choose another folder; nothing that was there before has been changed.',
      cause,
    });
  }
  return new HuacayaError('FILE_UNREADABLE', `${path}: ${(cause as Error)?.message ?? cause}`, { cause });
}

/** The write surface that tests replace to simulate a full disk. */
export interface Disk {
  write(handle: FileHandle, bytes: Uint8Array): Promise<void>;
}

export const realDisk: Disk = {
  async write(handle, bytes) {
    await handle.writeFile(bytes);
  },
};

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open folders; there the rename is as durable as it gets.
  const handle = await open(path, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** Writes a file so that a crash leaves either the old content or the new one: temporary name, fsync, rename, fsync folder. */
export async function writeFileAtomic(path: string, data: Uint8Array | string, disk: Disk = realDisk): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(temporary, 'wx');
    try {
      await disk.write(handle, typeof data === 'string' ? new TextEncoder().encode(data) : data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    // Nothing to clean up where not even the folder could be made; what matters is the first error.
    await rm(temporary, { force: true }).catch(() => {});
    throw fileError(path, cause);
  }
}

/**
 * Builds a folder under a temporary name and renames it into place when `fill` has succeeded.
 * @throws HuacayaError OUTPUT_EXISTS (exit code 2) when `path` is already there and `overwrite` is not set.
 */
export async function writeFolderAtomic(
  path: string,
  fill: (temporary: string) => Promise<void>,
  options: { overwrite?: boolean } = {},
): Promise<void> {
  const target = resolve(path);
  if (existsSync(target) && !options.overwrite) throw outputExists(path);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(4).toString('hex')}.tmp`);
  const old = `${temporary}.old`;
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await syncFolder(temporary);
    if (existsSync(target)) await rename(target, old);
    await rename(temporary, target);
    await syncFolder(dirname(target));
    await rm(old, { recursive: true, force: true });
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (existsSync(old) && !existsSync(target)) await rename(old, target).catch(() => {});
    throw cause instanceof HuacayaError ? cause : fileError(path, cause);
  }
}

export function outputExists(path: string): HuacayaError {
  return usageError(`${path} exists already`, 'Choose another --output, or pass --overwrite to replace it.');
}

/** A folder for this process alone, which is gone at the latest when the process ends. */
export async function temporaryFolder(prefix: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), prefix)).catch((cause) => {
    throw fileError(tmpdir(), cause);
  });
  const atExit = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', atExit);
  const remove = async () => {
    process.off('exit', atExit);
    await rm(path, { recursive: true, force: true });
  };
  return { path, remove };
}
