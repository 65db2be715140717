// Fills the unfinished part of one file: over one connection until the server has shown that it can send parts, then over
// as many as there are free; failures are waited out, then the next mirror is asked.
import { HuacayaError } from '../base/index.ts';
import type { BlobPart } from './blobPart.ts';
import { NoRanges, type Part, requestPart, wrongContent } from './blobRequest.ts';
import type { Chunk } from './chunkTable.ts';
import { ChunkWriter } from './chunkWriter.ts';
import type { OnEvent } from './events.ts';
import type { HubFile } from './hubFiles.ts';
import { BusyError } from './hubStatus.ts';
import type { MirrorWalk } from './mirrors.ts';
import { isTransient } from './networkErrors.ts';
import { Patience, pause, seconds } from './patience.ts';
import type { RequestOptions } from './request.ts';
import type { Slots } from './slots.ts';

export interface TransferOptions extends RequestOptions {
  repo: string;
  onEvent: OnEvent;
  delaysMs: readonly number[];
  /** Connections, shared with the other files; `rank` says whose turn is first. */
  connections: { slots: Slots; count: number };
  rank: number;
  signal: AbortSignal;
}

export class BlobTransfer {
  readonly #file: HubFile;
  readonly #part: BlobPart;
  readonly #walk: MirrorWalk;
  readonly #options: TransferOptions;
  readonly #onBytes: (fresh: number) => void;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #patience: Patience;
  #workers: Promise<void>[] = [];
  #rangesWork = false;
  /** Set when the file can only come as a whole, over one connection. */
  #whole = false;
  #wholeBusy = false;

  constructor(
    file: HubFile,
    part: BlobPart,
    walk: MirrorWalk,
    options: TransferOptions,
    onBytes: (fresh: number) => void,
  ) {
    this.#file = file;
    this.#part = part;
    this.#walk = walk;
    this.#options = options;
    this.#onBytes = onBytes;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#patience = this.#newPatience();
  }

  /** @throws ChangedFile, HuacayaError HUB_*; what came until then is on the disk and on the record. */
  async run(): Promise<void> {
    this.#addWorker();
    // More are added while these run.
    for (let i = 0; i < this.#workers.length; i++) await this.#workers[i];
    this.#signal.throwIfAborted();
  }

  #addWorker(): void {
    this.#workers.push(this.#work().catch((error) => this.#stop.abort(error)));
  }

  #newPatience(): Patience {
    // With another mirror at hand there is no point in waiting for long.
    const { delaysMs } = this.#options;
    return new Patience(this.#walk.isLast ? delaysMs : delaysMs.slice(0, 1));
  }

  async #work(): Promise<void> {
    const { slots } = this.#options.connections;
    while (!this.#part.table.complete) {
      if (this.#walk.heldMs > 0) await pause(this.#walk.heldMs, this.#signal);
      await slots.take(this.#options.rank, this.#signal);
      const mirror = this.#walk.index;
      const startedAt = Date.now();
      let wait: number | undefined;
      try {
        const more = this.#whole ? await this.#fetchWhole() : await this.#fetchChunk();
        if (!more) return;
      } catch (error) {
        wait = this.#afterFailure(error, startedAt, mirror);
      } finally {
        slots.give();
      }
      if (wait !== undefined) await pause(wait, this.#signal);
    }
  }

  /** @returns false when there is nothing left that nobody works on. */
  async #fetchChunk(): Promise<boolean> {
    const { table } = this.#part;
    const chunk = table.claim();
    if (!chunk) return false;
    try {
      const from = chunk.start + table.have[chunk.index]!;
      const part = await requestPart({ file: this.#file, from, to: chunk.end }, this.#walk, this.#requestOptions());
      if (!part.whole) {
        this.#letOthersIn();
        await this.#receive(part, chunk);
        return true;
      }
      // Together with others this answer would bring twice what they bring.
      this.#whole = table.have.length > 1 || from > 0;
      if (this.#whole && this.#workers.length > 1) part.reply.discard();
      else await this.#receive(part);
      return true;
    } finally {
      table.release(chunk);
    }
  }

  /** The file from its start; what is on the disk already is passed over. */
  async #fetchWhole(): Promise<boolean> {
    if (this.#wholeBusy) return false;
    const { size } = this.#file;
    this.#wholeBusy = true;
    try {
      const wanted = { file: this.#file, from: 0, to: size };
      await this.#receive(await requestPart(wanted, this.#walk, this.#requestOptions()));
      return true;
    } finally {
      this.#wholeBusy = false;
    }
  }

  #letOthersIn(): void {
    if (this.#rangesWork) return;
    this.#rangesWork = true;
    const wanted = Math.min(this.#options.connections.count - 1, this.#part.table.waiting);
    for (let i = 0; i < wanted; i++) this.#addWorker();
  }

  /** Writes what comes to where it is missing: into `only`, or into whatever chunk it belongs to. */
  async #receive(part: Part, only?: Chunk): Promise<void> {
    const { table } = this.#part;
    const writer = new ChunkWriter(this.#part, (bytes) => {
      this.#patience.progress(bytes);
      this.#onBytes(bytes);
    });
    let at = part.from;
    try {
      // Bytes that a chunk has or that are in the writer's hands.
      let chunk = only ?? table.chunk(0);
      let next = chunk.start + table.have[chunk.index]!;
      for await (const piece of part.reply.chunks()) {
        if (at + piece.length > part.to) throw this.#tooLong(part);
        for (let end = at + piece.length; at < end; ) {
          if (at >= chunk.end) {
            chunk = table.chunk(chunk.index + 1);
            next = chunk.start + table.have[chunk.index]!;
          }
          const stop = Math.min(end, chunk.end);
          if (stop > next) {
            await writer.put(chunk, next, piece.subarray(piece.length - (end - next), piece.length - (end - stop)));
            next = stop;
          }
          at = stop;
        }
      }
    } finally {
      await writer.flush();
    }
    if (at < part.to) {
      const { size, name } = this.#file;
      throw new HuacayaError('HUB_LOST', `${this.#options.repo}/${name}: ended after ${at} of ${size} bytes`);
    }
  }

  #tooLong(part: Part): HuacayaError {
    const what = part.whole ? `the ${this.#file.size} bytes that the hub listed` : 'the part that we asked for';
    return wrongContent(this.#options.repo, this.#file, `the server sends more than ${what}`);
  }

  /** @returns how long to wait before the next try; throws when there is none. */
  #afterFailure(error: unknown, startedAt: number, mirror: number): number | undefined {
    if (this.#signal.aborted) throw this.#signal.reason;
    if (error instanceof NoRanges && !this.#whole) {
      this.#whole = true;
      return 0;
    }
    // Another connection has turned to the next mirror in the meantime.
    if (mirror !== this.#walk.index) return 0;
    if (!(error instanceof HuacayaError) && !(error instanceof NoRanges)) throw error;
    const { onEvent } = this.#options;
    const cause =
      error instanceof NoRanges
        ? wrongContent(this.#options.repo, this.#file, 'the server sends parts of it that were not asked for')
        : error;
    try {
      if (!isTransient(cause)) throw cause;
      const { waitMs, first } = this.#patience.failed(cause, startedAt);
      if (cause instanceof BusyError && cause.retryAfterMs !== undefined) this.#walk.hold(waitMs);
      if (first) onEvent({ type: 'note', message: `${cause.message}; trying again in ${seconds(waitMs)}` });
      return waitMs;
    } catch (final) {
      const host = this.#walk.next(final);
      this.#patience = this.#newPatience();
      this.#whole = false;
      onEvent({ type: 'note', message: `${(final as Error).message}; going on with ${host}` });
      return 0;
    }
  }

  #requestOptions() {
    return { ...this.#options, signal: this.#signal };
  }
}
