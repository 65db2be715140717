// Reads the primitives of a GGUF header from the first bytes of a file, of which more are fetched as they are needed.
import { type ByteSource, checkRange, HuacayaError } from '../base/index.ts';
import { ggufLimits } from './ggufLimits.ts';

/** Thrown (and caught in `parseGrowing`) when the header goes on beyond the bytes fetched so far. */
class NeedMoreBytes extends Error {
  readonly end: number;
  constructor(end: number) {
    super('needs more bytes');
    this.end = end;
  }
}

export function badGguf(file: string, why: string): HuacayaError {
  return new HuacayaError('BAD_GGUF', `${file}: ${why}`, {
    hint: 'The file is damaged or not a GGUF model: download or convert it again.',
  });
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

export class GgufCursor {
  position = 0;
  readonly file: { name: string; size: number };
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(file: { name: string; size: number }, fetched: Uint8Array) {
    this.file = file;
    this.#bytes = fetched;
    this.#view = new DataView(fetched.buffer, fetched.byteOffset, fetched.length);
  }

  /** Moves over `length` bytes and returns where they start. */
  take(length: number): number {
    const start = this.position;
    const end = start + length;
    if (end > this.#bytes.length) {
      checkRange(this.file, start, length);
      if (end > ggufLimits.headerBytes) {
        throw badGguf(
          this.file.name,
          `the header goes on beyond ${ggufLimits.headerBytes} bytes, the most that is read`,
        );
      }
      throw new NeedMoreBytes(end);
    }
    this.position = end;
    return start;
  }

  u8 = () => this.#view.getUint8(this.take(1));
  i8 = () => this.#view.getInt8(this.take(1));
  u16 = () => this.#view.getUint16(this.take(2), true);
  i16 = () => this.#view.getInt16(this.take(2), true);
  u32 = () => this.#view.getUint32(this.take(4), true);
  i32 = () => this.#view.getInt32(this.take(4), true);
  f32 = () => this.#view.getFloat32(this.take(4), true);
  f64 = () => this.#view.getFloat64(this.take(8), true);
  /** A number when it is exact as one, else a bigint. */
  u64 = () => exact(this.#view.getBigUint64(this.take(8), true));
  i64 = () => exact(this.#view.getBigInt64(this.take(8), true));

  /** A u64 that counts things of at least `bytesEach` bytes each that must follow in the file. */
  count(what: string, most: number, bytesEach: number): number {
    const count = this.u64();
    if (count > most) throw badGguf(this.file.name, `${what} is ${count}, the most that is accepted is ${most}`);
    checkRange(this.file, this.position, Number(count) * bytesEach);
    return Number(count);
  }

  /** Key or tensor name: must be UTF-8, for two names must not become one. */
  shortName(what: string): string {
    const length = this.count(`the length of ${what}`, ggufLimits.nameBytes, 1);
    const start = this.take(length);
    try {
      return strict.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw badGguf(this.file.name, `${what} at byte ${start} is not UTF-8`);
    }
  }

  /** A string value; bytes that are not UTF-8 become U+FFFD, as a stray byte in a description should not stop anybody. */
  string(): string {
    const length = this.count('the length of a string', ggufLimits.headerBytes, 1);
    const start = this.take(length);
    return lenient.decode(this.#bytes.subarray(start, start + length));
  }

  /** A copy of the next bytes in a buffer of their own, fit for a typed array of any type. */
  copy(length: number): ArrayBuffer {
    const start = this.take(length);
    // Not `slice`: that of a Node Buffer does not copy.
    return new Uint8Array(this.#bytes.subarray(start, start + length)).buffer;
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * Runs `parse` on the first MiB of the file, and again from the start on four times as much whenever that was too
 * little: parsing stays plain and synchronous, and what is parsed in vain is at most 1.33 times the header.
 */
export async function parseGrowing<T>(source: ByteSource, parse: (cursor: GgufCursor) => T): Promise<T> {
  let fetched = await source.read(0, Math.min(source.size, 1 << 20));
  for (;;) {
    try {
      return parse(new GgufCursor(source, fetched));
    } catch (error) {
      if (!(error instanceof NeedMoreBytes)) throw error;
      const length = Math.min(source.size, ggufLimits.headerBytes, Math.max(4 * fetched.length, error.end));
      const grown = new Uint8Array(length);
      grown.set(fetched);
      grown.set(await source.read(fetched.length, length - fetched.length), fetched.length);
      fetched = grown;
    }
  }
}
