// Which parts of a file are on the disk: chunks that are each filled from their start, by one connection at a time.

const MIB = 1 << 20;

/** Bytes of a chunk. Files up to one chunk come over one connection; large ones in about 32 parts, of which 8 are on their way. */
export function chunkSizeFor(size: number): number {
  const even = Math.ceil(size / 32 / MIB) * MIB;
  return Math.min(64 * MIB, Math.max(4 * MIB, even));
}

export interface Chunk {
  index: number;
  /** Offset in the file of its first byte, and of the first one after it. */
  start: number;
  end: number;
}

export class ChunkTable {
  readonly size: number;
  readonly chunkSize: number;
  /** Bytes that each chunk has, from its start. */
  readonly have: number[];
  readonly #taken = new Set<number>();
  #received = 0;
  #firstIncomplete = 0;

  constructor(size: number, chunkSize = chunkSizeFor(size)) {
    this.size = size;
    this.chunkSize = chunkSize;
    this.have = new Array<number>(Math.ceil(size / chunkSize)).fill(0);
  }

  chunk(index: number): Chunk {
    const start = index * this.chunkSize;
    return { index, start, end: Math.min(start + this.chunkSize, this.size) };
  }

  /** Bytes of all chunks together. */
  get received(): number {
    return this.#received;
  }

  get complete(): boolean {
    return this.#received === this.size;
  }

  /** So many bytes from the start of the file are there without a hole. */
  get frontier(): number {
    for (; this.#firstIncomplete < this.have.length; this.#firstIncomplete++) {
      const { start, end, index } = this.chunk(this.#firstIncomplete);
      if (start + this.have[index]! < end) return start + this.have[index]!;
    }
    return this.size;
  }

  /** Says that a chunk has `have` bytes; never fewer than before. */
  fill(index: number, have: number): void {
    const { start, end } = this.chunk(index);
    const now = Math.min(have, end - start);
    if (now <= this.have[index]!) return;
    this.#received += now - this.have[index]!;
    this.have[index] = now;
  }

  /** Says that the first `length` bytes of the file are there. */
  fillTo(length: number): void {
    for (let index = 0; index < this.have.length && index * this.chunkSize < length; index++) {
      this.fill(index, length - index * this.chunkSize);
    }
  }

  /** The first chunk that lacks bytes and that nobody works on; it is the caller's until `release`. */
  claim(): Chunk | undefined {
    for (let index = 0; index < this.have.length; index++) {
      const chunk = this.chunk(index);
      if (this.#taken.has(index) || chunk.start + this.have[index]! >= chunk.end) continue;
      this.#taken.add(index);
      return chunk;
    }
    return undefined;
  }

  release(chunk: Chunk): void {
    this.#taken.delete(chunk.index);
  }

  /** Chunks that nobody works on and that lack bytes. */
  get waiting(): number {
    let count = 0;
    for (let index = 0; index < this.have.length; index++) {
      const { start, end } = this.chunk(index);
      if (!this.#taken.has(index) && start + this.have[index]! < end) count++;
    }
    return count;
  }
}
