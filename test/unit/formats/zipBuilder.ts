// Writes zip files of stored entries; every field of every record can be set to what no honest writer would write.
import { Bytes } from './ggufBuilder.ts';

interface Header {
  name: string | Uint8Array;
  flags: number;
  method: number;
  crc: number;
  packed: number;
  unpacked: number;
  offset: number;
  extra: Uint8Array;
  /** External, in the directory only. */
  attributes: number;
  signature: number;
}

export interface ZipParts {
  files?: {
    name?: string;
    data?: string | Uint8Array;
    local?: Partial<Header>;
    listed?: Partial<Header>;
    both?: Partial<Header>;
  }[];
  end?: { entries?: number; here?: number; disk?: number; length?: number; offset?: number; comment?: string };
  /** Fields of a zip64 end record, which is then written. */
  end64?: {
    entries?: number;
    here?: number;
    length?: number | bigint;
    offset?: number | bigint;
    signature?: number;
    at?: number | bigint;
  };
  prefix?: string;
  gap?: string;
}

const text = (value: string) => new TextEncoder().encode(value);

/** Stored files of 'data'; any field of any record can be overridden. */
export function buildZip({ files = [{}], end = {}, end64, prefix = '', gap = '' }: ZipParts): Uint8Array {
  const b = new Bytes().raw(text(prefix));
  const listed: Header[] = [];
  for (const { name = 'a', data: content = 'data', local, listed: override, both } of files) {
    const data = typeof content === 'string' ? text(content) : content;
    const plain = { name, flags: 0, method: 0, crc: 1, packed: data.length, unpacked: data.length, offset: b.length };
    const header = { ...plain, extra: new Uint8Array(0), attributes: 0, signature: 0x04034b50, ...both, ...local };
    const nameBytes = typeof header.name === 'string' ? text(header.name) : header.name;
    b.u32(header.signature).u16(20).u16(header.flags).u16(header.method).u32(0).u32(header.crc);
    b.u32(header.packed).u32(header.unpacked).u16(nameBytes.length).u16(header.extra.length);
    b.raw(nameBytes).raw(header.extra).raw(data);
    listed.push({ ...plain, extra: new Uint8Array(0), attributes: 0, signature: 0x02014b50, ...both, ...override });
  }
  const start = b.length;
  for (const header of listed) {
    const nameBytes = typeof header.name === 'string' ? text(header.name) : header.name;
    b.u32(header.signature).u16(20).u16(20).u16(header.flags).u16(header.method).u32(0).u32(header.crc);
    b.u32(header.packed).u32(header.unpacked).u16(nameBytes.length).u16(header.extra.length).u16(0).u16(0).u16(0);
    b.u32(header.attributes).u32(header.offset).raw(nameBytes).raw(header.extra);
  }
  b.raw(text(gap));
  const length = b.length - start;
  const at = b.length;
  const { entries = listed.length, comment = '' } = end;
  if (end64) {
    const { entries: many = entries, here = many } = end64;
    b.u32(end64.signature ?? 0x06064b50)
      .u64(44)
      .u16(45)
      .u16(45)
      .u32(0)
      .u32(0)
      .u64(here)
      .u64(many);
    b.u64(end64.length ?? length).u64(end64.offset ?? start);
    b.u32(0x07064b50)
      .u32(0)
      .u64(end64.at ?? at)
      .u32(1);
  }
  b.u32(0x06054b50)
    .u16(end.disk ?? 0)
    .u16(end.disk ?? 0)
    .u16(end.here ?? entries)
    .u16(entries);
  b.u32(end.length ?? length)
    .u32(end.offset ?? start)
    .u16(comment.length)
    .raw(text(comment));
  return b.done();
}

/** A foreign extra field, then the zip64 one. */
export const extra64 = (...sizes: (number | bigint)[]) => {
  const b = new Bytes()
    .u16(0x9999)
    .u16(1)
    .u8(0)
    .u16(1)
    .u16(sizes.length * 8);
  for (const size of sizes) b.u64(size);
  return b.done();
};
/** Stands for "see the zip64 field". */
export const absent = 0xffffffff;
