// Counts the bytes of a download, each file and all together, and says now and then how far it is and how fast.
import type { OnEvent } from './events.ts';
import type { HubFile } from './hubFiles.ts';

const EVERY_MS = 100;
/** The speed is that of the last seconds. */
const WINDOW_MS = 5000;

/** Bytes a second over the last few seconds. */
export class Speed {
  readonly #samples: { at: number; bytes: number }[] = [];

  add(bytes: number, now: number): void {
    const last = this.#samples.at(-1);
    // Ten samples a second are enough: pieces come by the thousand.
    if (last && now - last.at < EVERY_MS) last.bytes += bytes;
    else this.#samples.push({ at: now, bytes });
  }

  /** Undefined until there is something to divide by. */
  perSecond(now: number): number | undefined {
    while (this.#samples.length > 0 && now - this.#samples[0]!.at > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (!first || now - first.at < EVERY_MS) return undefined;
    // Those of the first sample came before it.
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, -first.bytes);
    return bytes / ((now - first.at) / 1000);
  }
}

interface Row {
  received: number;
  said: number;
  speed: Speed;
}

export class Meter {
  readonly #onEvent: OnEvent;
  readonly #rows = new Map<string, Row>();
  readonly #total: number;
  readonly #speed = new Speed();
  #received = 0;
  #done = 0;
  #said = 0;

  constructor(files: readonly HubFile[], onEvent: OnEvent) {
    this.#onEvent = onEvent;
    this.#total = files.reduce((sum, file) => sum + file.size, 0);
    for (const file of files) this.#rows.set(file.name, { received: 0, said: 0, speed: new Speed() });
  }

  /** What an earlier download left of a file; said with the first event. */
  begin(file: HubFile, received: number): void {
    this.#rows.get(file.name)!.received = received;
    this.#received += received;
  }

  /** Says how many bytes of a file are on the disk; `fresh` of them came over the network just now. */
  at(file: HubFile, received: number, fresh = 0, now = Date.now()): void {
    const row = this.#rows.get(file.name)!;
    this.#received += received - row.received;
    row.received = received;
    if (fresh > 0) {
      row.speed.add(fresh, now);
      this.#speed.add(fresh, now);
    }
    const last = received === file.size;
    if (last || now - row.said >= EVERY_MS) {
      row.said = now;
      const rate = last ? undefined : row.speed.perSecond(now);
      this.#onEvent({ type: 'progress', file: file.name, received, total: file.size, ...bytesPerSecond(rate) });
    }
    if (now - this.#said >= EVERY_MS) this.#sayTotal(now);
  }

  /** The file is right. */
  verified(file: HubFile): void {
    this.#onEvent({ type: 'verified', file: file.name });
    this.#done++;
    this.#sayTotal(Date.now());
  }

  #sayTotal(now: number): void {
    this.#said = now;
    const files = this.#rows.size;
    const rate = this.#speed.perSecond(now);
    const sum = { received: this.#received, total: this.#total, filesDone: this.#done, files };
    this.#onEvent({ type: 'total', ...sum, ...bytesPerSecond(rate) });
  }
}

function bytesPerSecond(rate: number | undefined) {
  return rate === undefined ? {} : { bytesPerSecond: rate };
}
