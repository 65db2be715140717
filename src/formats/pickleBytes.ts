// The bytes of a pickle as its machine takes them: bounded, and held to the frames that protocol 4 announces.
import { HuacayaError } from '../base/index.ts';

export const pickleLimits = {
  /** Of pickled text; some 300 a tensor, so 200,000 tensors. Their data lies outside. */
  bytes: 1 << 26,
  /** Some 40 a tensor. */
  opcodes: 1 << 22,
  /** Dicts, lists, tuples, objects and the pairs that calls are given; some 8 a tensor. */
  nodes: 1 << 20,
  /** Values that wait on the stack; a writer sends 1,000 at a time. */
  stack: 1 << 18,
  /** Containers begun and not ended. */
  marks: 200,
  /** Of one whole number, in bytes. */
  longBytes: 64,
  /** Of one string, in bytes. */
  stringBytes: 1 << 24,
  /** Of a module or a name, in bytes. */
  nameBytes: 256,
} as const;

/** The pickle goes on beyond the bytes fetched so far; never leaves this room. */
export class NeedMorePickle extends Error {}

const convert =
  'Only weights are read. Look for the model as .safetensors, or save its state_dict() as safetensors where the file is trusted.';

/** Damage, or a kind of file that is not read. */
export function badTorch(file: string, why: string, hint?: string): HuacayaError {
  return new HuacayaError('BAD_TORCH_FILE', `${file}: ${why}`, {
    hint: hint ?? 'The file is damaged or no PyTorch checkpoint: download it again, or get it as .safetensors.',
  });
}

/** The file wants something done that no weights need. @param what e.g. 'asks for "os.system"' */
export function unsafeTorch(file: string, what: string): HuacayaError {
  return new HuacayaError('UNSAFE_TORCH_FILE', `${file}: ${what}: refused, nothing was run`, { hint: convert });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class PickleBytes {
  readonly file: string;
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #complete: boolean;
  #frameEnd = 0;
  /** Where the opcode that is being read began. */
  #begun = 0;
  #objects = 0;

  /** @param complete false when the file has more bytes than these. */
  constructor(file: string, bytes: Uint8Array, complete: boolean) {
    this.file = file;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#complete = complete;
  }

  get length(): number {
    return this.#bytes.length;
  }

  bad(why: string): HuacayaError {
    return badTorch(this.file, `its pickle ${why} at byte ${this.position}`);
  }

  /** To be told of every object before it is made, and of all work that a few bytes ask for again and again. */
  spend(objects: number): void {
    this.#objects += objects;
    if (this.#objects > pickleLimits.nodes) throw this.bad(`has more than ${pickleLimits.nodes} objects`);
  }

  #take(length: number): number {
    const start = this.position;
    const end = start + length;
    if (end > this.#bytes.length) throw this.#short();
    this.position = end;
    return start;
  }

  #short(): Error {
    return this.#complete ? this.bad('ends before its STOP') : new NeedMorePickle();
  }

  /** The next opcode. The one before it may not have left the frame in which it began. */
  opcode(): number {
    const { position } = this;
    if (position > this.#frameEnd && this.#begun < this.#frameEnd) throw this.bad('goes beyond its frame');
    this.#begun = position;
    return this.u8();
  }

  u8 = () => this.#bytes[this.#take(1)]!;
  u16 = () => this.#view.getUint16(this.#take(2), true);
  u32 = () => this.#view.getUint32(this.#take(4), true);
  i32 = () => this.#view.getInt32(this.#take(4), true);
  /** Big endian, unlike the others. */
  f64 = () => this.#view.getFloat64(this.#take(8), false);

  /** Two's complement, little endian. A number as long as it is exact. */
  long(length: number): number | bigint {
    if (length > pickleLimits.longBytes) throw this.bad(`has a number of ${length} bytes`);
    const start = this.#take(length);
    let at = start + length;
    let value = 0n;
    while ((at - start) % 8) value = (value << 8n) | BigInt(this.#bytes[--at]!);
    while (at > start) {
      at -= 8;
      value = (value << 64n) | this.#view.getBigUint64(at, true);
    }
    const signed = BigInt.asIntN(8 * length, value);
    const number = Number(signed);
    return Number.isSafeInteger(number) ? number : signed;
  }

  bytes(length: number): Uint8Array {
    this.#checkLength(length);
    const start = this.#take(length);
    return this.#bytes.slice(start, start + length);
  }

  text(length: number): string {
    this.#checkLength(length);
    const start = this.#take(length);
    return this.#decode(start, start + length);
  }

  /** Up to the next newline, which is taken too. */
  line(): string {
    const start = this.position;
    const limit = Math.min(this.#bytes.length, start + pickleLimits.nameBytes + 1);
    let end = start;
    while (end < limit && this.#bytes[end] !== 10) end++;
    if (end - start > pickleLimits.nameBytes) throw this.bad(`has a name of over ${pickleLimits.nameBytes} bytes`);
    if (end === this.#bytes.length) throw this.#short();
    this.#take(end + 1 - start);
    return this.#decode(start, end);
  }

  /** A frame begins after its own 8 bytes of length; none may lie in another. */
  beginFrame(): void {
    const at = this.#take(8);
    const length = Number(this.#view.getBigUint64(at, true));
    if (this.position <= this.#frameEnd && this.#frameEnd > 0) throw this.bad('has a frame within a frame');
    this.#frameEnd = this.position + length;
    if (this.#frameEnd > this.#bytes.length)
      throw this.#complete ? this.bad('has a frame beyond its end') : new NeedMorePickle();
  }

  /** To be called after STOP: the frame must end there. */
  endPickle(): void {
    if (this.position < this.#frameEnd) throw this.bad(`ends ${this.#frameEnd - this.position} bytes before its frame`);
    this.#frameEnd = 0;
  }

  #checkLength(length: number): void {
    if (length > pickleLimits.stringBytes) {
      throw this.bad(`has a string of ${length} bytes, the most accepted is ${pickleLimits.stringBytes}`);
    }
  }

  #decode(start: number, end: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, end));
    } catch {
      throw this.bad('has text that is not UTF-8');
    }
  }
}
