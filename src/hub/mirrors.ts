// The endpoint and its mirrors, in order: which one is asked now, for all files of a model, and what was seen of each.
import type { HuacayaError } from '../base/index.ts';
import { isTransient } from './networkErrors.ts';

export class Mirrors {
  /** The first one that has not been given up for all files. */
  #first = 0;

  readonly #heldUntil: number[] = [];

  get first(): number {
    return this.#first;
  }

  /** A server that names a time means all our requests. */
  hold(index: number, until: number): void {
    this.#heldUntil[index] = Math.max(this.#heldUntil[index] ?? 0, until);
  }

  /** Milliseconds until it may be asked again. */
  heldMs(index: number, now = Date.now()): number {
    return Math.max(0, (this.#heldUntil[index] ?? 0) - now);
  }

  /** A host that cannot be reached or refuses its service is no better for the next file. */
  giveUp(index: number, error: unknown): void {
    const wholeHost = isTransient(error) || ['HUB_CERTIFICATE', 'HUB_PROXY'].includes((error as HuacayaError).code);
    if (wholeHost) this.#first = Math.max(this.#first, index + 1);
  }
}

/** One file's way through the mirrors. */
export class MirrorWalk {
  readonly urls: readonly string[];
  readonly #mirrors: Mirrors;
  /** Number of the mirror that is asked now. */
  index: number;
  /** Where the mirror redirected to last, with its signature: ranges can be asked there without asking the hub each time. */
  direct: string | undefined;
  /** The strong ETag of the bytes that came from this mirror, for If-Range. */
  etag: string | undefined;
  /** Set when tags turned out to change: from then on only the hash counts. */
  ignoreTags = false;
  #firstError: unknown;

  constructor(urls: readonly string[], mirrors: Mirrors) {
    this.urls = urls;
    this.#mirrors = mirrors;
    this.index = Math.min(mirrors.first, urls.length - 1);
  }

  get url(): string {
    return this.urls[this.index]!;
  }

  /** Milliseconds until this mirror may be asked again. */
  get heldMs(): number {
    return this.#mirrors.heldMs(this.index);
  }

  hold(ms: number): void {
    this.#mirrors.hold(this.index, Date.now() + ms);
  }

  get isLast(): boolean {
    return this.index === this.urls.length - 1;
  }

  /**
   * Goes on to the next mirror.
   * @returns its host; throws when there is none: the error of the first mirror, which is the one that the user chose.
   */
  next(error: unknown): string {
    this.#firstError ??= error;
    this.#mirrors.giveUp(this.index, error);
    if (this.isLast) throw this.#firstError;
    this.#turnTo(Math.max(this.index + 1, Math.min(this.#mirrors.first, this.urls.length - 1)));
    return new URL(this.url).host;
  }

  /** For a file that came out wrong: from another mirror where there is one. */
  startAgain(): void {
    this.#firstError = undefined;
    this.#turnTo(Math.min(this.index + 1, this.urls.length - 1));
  }

  #turnTo(index: number): void {
    this.index = index;
    this.direct = undefined;
    this.etag = undefined;
  }
}
