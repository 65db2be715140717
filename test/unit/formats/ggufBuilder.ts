// Writes GGUF files piece by piece, wrong ones too: every field can be set to what no honest writer would write.

export class Bytes {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.length += bytes.length;
    return this;
  }

  #number(size: number, set: (view: DataView) => void): this {
    const bytes = new Uint8Array(size);
    set(new DataView(bytes.buffer));
    return this.raw(bytes);
  }

  u8 = (n: number) => this.#number(1, (v) => v.setUint8(0, n));
  u16 = (n: number) => this.#number(2, (v) => v.setUint16(0, n, true));
  u32 = (n: number) => this.#number(4, (v) => v.setUint32(0, n, true));
  f32 = (n: number) => this.#number(4, (v) => v.setFloat32(0, n, true));
  u64 = (n: number | bigint) => this.#number(8, (v) => v.setBigUint64(0, BigInt(n), true));

  string(text: string | Uint8Array, claimed?: bigint): this {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    return this.u64(claimed ?? bytes.length).raw(bytes);
  }

  done(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

export interface GgufParts {
  magic?: number;
  version?: number;
  tensorCount?: number | bigint;
  keyCount?: number | bigint;
  /** Key, then value type and value. */
  keys?: [string | Uint8Array, (b: Bytes) => unknown][];
  tensors?: { name?: string | Uint8Array; dims?: (number | bigint)[]; type?: number; offset?: number | bigint }[];
  data?: Uint8Array;
  align?: number;
}

export function buildGguf(parts: GgufParts): Uint8Array {
  const { keys = [], tensors = [], align = 32 } = parts;
  const b = new Bytes().u32(parts.magic ?? 0x46554747).u32(parts.version ?? 3);
  b.u64(parts.tensorCount ?? tensors.length).u64(parts.keyCount ?? keys.length);
  for (const [key, value] of keys) {
    b.string(key);
    value(b);
  }
  for (const { name = 't', dims = [1], type = 0, offset = 0 } of tensors) {
    b.string(name).u32(dims.length);
    for (const dim of dims) b.u64(dim);
    b.u32(type).u64(offset);
  }
  if (parts.data) b.raw(new Uint8Array((align - (b.length % align)) % align)).raw(parts.data);
  return b.done();
}
