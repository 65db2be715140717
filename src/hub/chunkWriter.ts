// Takes the pieces of one connection and writes them in larger ones, while the next are already coming.
import type { BlobPart } from './blobPart.ts';
import type { Chunk } from './chunkTable.ts';

/** Two of these a connection, and eight connections: what a killed process had in hand stays well below 8 MiB. */
export const BUFFER_BYTES = 320 << 10;

export class ChunkWriter {
  readonly #part: BlobPart;
  readonly #onWritten: (bytes: number) => void;
  #buffers: Uint8Array[];
  #chunk: Chunk | undefined;
  /** Offset in the file of the first byte in the buffer. */
  #from = 0;
  #filled = 0;
  #pending: Promise<void> | undefined;

  constructor(part: BlobPart, onWritten: (bytes: number) => void) {
    this.#part = part;
    this.#onWritten = onWritten;
    const size = Math.min(BUFFER_BYTES, part.table.size);
    this.#buffers = [new Uint8Array(size), new Uint8Array(size)];
  }

  /** Bytes of `chunk` that stand at `from`, behind what it has already. They may be used again when this resolves. */
  async put(chunk: Chunk, from: number, bytes: Uint8Array): Promise<void> {
    if (this.#chunk?.index !== chunk.index) {
      await this.flush();
      this.#chunk = chunk;
    }
    for (let done = 0; done < bytes.length; ) {
      const buffer = this.#buffers[0]!;
      if (this.#filled === 0) this.#from = from + done;
      const count = Math.min(buffer.length - this.#filled, bytes.length - done);
      buffer.set(done === 0 && count === bytes.length ? bytes : bytes.subarray(done, done + count), this.#filled);
      this.#filled += count;
      done += count;
      if (this.#filled === buffer.length) await this.#turn();
    }
  }

  /** Writes what is left; everything is on the record when this resolves. */
  async flush(): Promise<void> {
    await this.#turn();
    const pending = this.#pending;
    this.#pending = undefined;
    await pending;
  }

  /** Waits for the buffer before this one, then starts to write this one. */
  async #turn(): Promise<void> {
    const pending = this.#pending;
    this.#pending = undefined;
    await pending;
    const [full, other] = this.#buffers as [Uint8Array, Uint8Array];
    const bytes = full.subarray(0, this.#filled);
    this.#buffers = [other, full];
    this.#filled = 0;
    if (bytes.length === 0) return;
    this.#pending = this.#part.write(this.#chunk!, this.#from, bytes).then(() => this.#onWritten(bytes.length));
    // Looked at by whoever comes next; until then it is not an accident.
    this.#pending.catch(() => {});
    await this.#part.settle();
  }
}
