// The two hashes that the hub names files by: sha256 of the bytes (large files), and git's sha1 of a blob (small ones).
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fileError } from '../base/node.ts';

export type HashKind = 'sha256' | 'git-sha1';

export interface FileHash {
  kind: HashKind;
  /** Lower-case hexadecimal. */
  value: string;
}

/** Reads a hash from the name of a blob: 64 digits are sha256, 40 are git's sha1; undefined for anything else. */
export function hashFromName(name: string): FileHash | undefined {
  if (/^[0-9a-f]{64}$/.test(name)) return { kind: 'sha256', value: name };
  if (/^[0-9a-f]{40}$/.test(name)) return { kind: 'git-sha1', value: name };
  return undefined;
}

/** Hashes what is on the disk, a piece at a time. @throws HuacayaError FILE_NOT_FOUND / FILE_UNREADABLE. */
export async function hashFile(path: string, kind: HashKind, signal?: AbortSignal): Promise<string> {
  const handle = await open(path, 'r').catch((cause) => {
    throw fileError(path, cause);
  });
  try {
    const hash = createHash(kind === 'sha256' ? 'sha256' : 'sha1');
    if (kind === 'git-sha1') hash.update(`blob ${(await handle.stat()).size}\0`);
    const piece = new Uint8Array(1 << 20);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(piece, 0, piece.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
