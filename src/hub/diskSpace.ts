// Asks for the room on the disk before a download starts, so that it does not fail at 95 %.
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HuacayaError } from '../base/index.ts';

/** Bytes that this user may still write where `path` is or will be; undefined where the system does not say. */
export type FreeBytes = (path: string) => Promise<number | undefined>;

export const freeBytes: FreeBytes = async (path) => {
  for (let folder = path; ; folder = dirname(folder)) {
    const info = await statfs(folder).catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? null : undefined,
    );
    if (info === undefined || (info === null && dirname(folder) === folder)) return undefined;
    if (info) return info.bavail * info.bsize;
  }
};

/** @throws HuacayaError NO_SPACE when fewer than `needed` bytes are free. */
export async function requireSpace(path: string, needed: number, free: FreeBytes = freeBytes): Promise<void> {
  const available = await free(path);
  if (available === undefined || available >= needed) return;
  throw new HuacayaError(
    'NO_SPACE',
    `${path}: needs ${megabytes(needed)} free, but the disk has ${megabytes(available)}`,
    {
      hint: 'Free some space, or set HUACAYA_CACHE and HF_HOME to folders on a larger disk.',
    },
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
