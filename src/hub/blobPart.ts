// The unfinished part of a file on the disk: opened where an earlier process left it, written by several connections, and
// renamed to its final name when it is right.
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BlobJournal, readJournal } from './blobJournal.ts';
import { type Chunk, ChunkTable, chunkSizeFor } from './chunkTable.ts';
import type { HubFile } from './hubFiles.ts';

/** Where the bytes of an unfinished blob are kept. Not the name that Python uses: the two must never write the same file. */
export function partialPath(blobPath: string): string {
  return `${blobPath}.huacaya.incomplete`;
}

export function journalPath(blobPath: string): string {
  return `${blobPath}.huacaya.journal`;
}

/** So much may be lost with the machine, of each file. */
const SYNC_BYTES = 64 << 20;

/**
 * What there is of an unfinished blob, without touching it. A file of one chunk grows from its start, so its length says it
 * all; so does a part without a journal, which an earlier version of Huacaya left.
 */
export async function tableOf(file: HubFile, blobPath: string): Promise<ChunkTable> {
  const length = (await stat(partialPath(blobPath)).catch(() => undefined))?.size ?? 0;
  if (length > 0 && length <= file.size) {
    const table = file.size > chunkSizeFor(file.size) ? await readJournal(journalPath(blobPath), file) : undefined;
    if (table) return table;
    const fresh = new ChunkTable(file.size);
    fresh.fillTo(length);
    return fresh;
  }
  return new ChunkTable(file.size);
}

export class BlobPart {
  readonly path: string;
  readonly table: ChunkTable;
  readonly #blobPath: string;
  readonly #handle: FileHandle;
  readonly #journal: BlobJournal | undefined;
  #unsynced = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;
  #syncFailed: unknown;
  #closed = false;

  private constructor(blobPath: string, table: ChunkTable, handle: FileHandle, journal: BlobJournal | undefined) {
    this.path = partialPath(blobPath);
    this.table = table;
    this.#blobPath = blobPath;
    this.#handle = handle;
    this.#journal = journal;
  }

  static async open(file: HubFile, blobPath: string): Promise<BlobPart> {
    await mkdir(dirname(blobPath), { recursive: true });
    const table = await tableOf(file, blobPath);
    const path = partialPath(blobPath);
    if (table.have.length <= 1) {
      await rm(journalPath(blobPath), { force: true });
      const handle = await openToWrite(path);
      if (table.received === 0) await handle.truncate(0);
      return new BlobPart(blobPath, table, handle, undefined);
    }
    if (table.received === 0) await rm(path, { force: true });
    else await syncPath(path);
    // Before the first byte: a part without a journal counts as whole from its start.
    const journal = await BlobJournal.create(journalPath(blobPath), file, table);
    return new BlobPart(blobPath, table, await openToWrite(path), journal);
  }

  /** True when there is more than one chunk. */
  get large(): boolean {
    return this.#journal !== undefined;
  }

  /** Writes bytes that continue a chunk. They are on the record when this resolves. */
  async write(chunk: Chunk, from: number, bytes: Uint8Array): Promise<void> {
    if (this.#syncFailed) throw this.#syncFailed;
    // One after the other: the system locks a file for each write, and threads that wait for that lock burn time.
    this.#writing = this.#writing.then(() => writeAll(this.#handle, bytes, from));
    await this.#writing;
    const have = from + bytes.length - chunk.start;
    this.table.fill(chunk.index, have);
    if (!this.#journal) return;
    this.#journal.add(chunk.index, have);
    this.#unsynced += bytes.length;
    if (this.#unsynced >= SYNC_BYTES) this.#syncing ??= this.#sync(this.#journal);
  }

  /** Waits until a sync on the way has ended; to be called now and then, so that a slow disk slows the network down. */
  async settle(): Promise<void> {
    if (this.#unsynced >= 4 * SYNC_BYTES) await this.#syncing;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#syncing;
    this.#journal?.close();
    await this.#handle.close();
  }

  /** Gives the file its final name. */
  async publish(): Promise<void> {
    await this.#syncing;
    await this.#handle.sync();
    await this.close();
    await rename(this.path, this.#blobPath);
    await rm(journalPath(this.#blobPath), { force: true });
    await syncPath(dirname(this.#blobPath)).catch(() => {});
  }

  /** Throws everything away. */
  async discard(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
    await rm(journalPath(this.#blobPath), { force: true });
  }

  async #sync(journal: BlobJournal): Promise<void> {
    try {
      const records = journal.records;
      this.#unsynced = 0;
      await this.#handle.datasync();
      journal.synced(records);
    } catch (error) {
      this.#syncFailed = error;
    }
    this.#syncing = undefined;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, from: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, from + done)).bytesWritten;
  }
}

async function openToWrite(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return open(path, 'w+');
  });
}

/** Windows cannot open folders; there a rename is as durable as it gets. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EISDIR') return open(path, 'r');
    throw error;
  });
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
