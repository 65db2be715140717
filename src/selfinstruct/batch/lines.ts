// Files of lines that may be larger than a string can be: written completely or not at all, read one line at a time.
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HuacayaError } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';

const PIECE = 1 << 20;
const NEWLINE = 10;

export interface FileWriter {
  write(bytes: Uint8Array): Promise<void>;
}

export interface Written {
  bytes: number;
  sha256: string;
}

/** Temporary name, fsync, rename: like writeFileAtomic, for what does not fit into memory. */
export async function writeAtomic(path: string, fill: (writer: FileWriter) => Promise<void>): Promise<Written> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`);
  let handle: FileHandle | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    handle = await open(temporary, 'wx');
    const hash = createHash('sha256');
    let [pending, waiting, bytes]: [Uint8Array[], number, number] = [[], 0, 0];
    const flush = async () => {
      await handle!.writeFile(Buffer.concat(pending));
      [pending, waiting] = [[], 0];
    };
    await fill({
      async write(piece) {
        hash.update(piece);
        pending.push(piece);
        waiting += piece.length;
        bytes += piece.length;
        if (waiting >= PIECE) await flush();
      },
    });
    await flush();
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, path);
    return { bytes, sha256: hash.digest('hex') };
  } catch (cause) {
    await handle?.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    // The network's failures pass through here too.
    if (cause instanceof HuacayaError || (cause as NodeJS.ErrnoException)?.syscall === undefined) throw cause;
    throw fileError(path, cause);
  }
}

/** Lines without their ends; empty ones are left out. @throws HuacayaError FILE_NOT_FOUND / FILE_UNREADABLE. */
export async function* readLines(path: string): AsyncGenerator<string, void, void> {
  const handle = await open(path, 'r').catch((cause) => {
    throw fileError(path, cause);
  });
  try {
    let rest = Buffer.alloc(0);
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(PIECE), 0, PIECE);
      if (bytesRead === 0) break;
      const text = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      let from = 0;
      for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, from)) {
        if (end > from) yield text.toString('utf8', from, end);
        from = end + 1;
      }
      rest = Buffer.from(text.subarray(from));
    }
    if (rest.length > 0) yield rest.toString('utf8');
  } finally {
    await handle.close();
  }
}
