import { inflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { readZipDirectory, type ZipEntry } from '../../../src/formats/index.ts';
import { expectError, fixture, spySource } from './helpers.ts';
import { absent, buildZip, extra64, type ZipParts } from './zipBuilder.ts';

const read = (bytes: Uint8Array) => readZipDirectory(memorySource('x.zip', bytes));

const content = (bytes: Uint8Array, entry: ZipEntry) => {
  const packed = bytes.subarray(entry.dataOffset, entry.dataOffset + entry.compressedSize);
  const unpacked = entry.method === 8 ? new Uint8Array(inflateRawSync(packed)) : packed;
  expect(unpacked.length).toBe(entry.uncompressedSize);
  return new TextDecoder().decode(unpacked);
};

describe('archives of other programs', () => {
  it('lists a torch checkpoint (zip64 end record, sizes after the data)', async () => {
    const bytes = fixture('zip/torch.pt');
    const entries = await read(bytes);
    expect([...entries.keys()]).toContain('torch/data.pkl');
    expect(content(bytes, entries.get('torch/byteorder')!)).toBe('little');
    const tensor = entries.get('torch/data/0')!;
    expect(tensor).toMatchObject({ method: 0, compressedSize: 20, uncompressedSize: 20 });
    // torch aligns tensors so that they can be mapped.
    expect(tensor.dataOffset % 64).toBe(0);
    expect([...new Float32Array(bytes.slice(tensor.dataOffset, tensor.dataOffset + 20).buffer)]).toEqual([
      0, 1, 2, 3, 4,
    ]);
  });

  it('lists what Python streamed (deflate, UTF-8 names, zip64 sizes)', async () => {
    const bytes = fixture('zip/streamed.zip');
    const entries = await read(bytes);
    expect([...entries.keys()]).toEqual(['weights/a.npy', 'weights/café.bin', 'big.bin']);
    expect(entries.get('weights/a.npy')).toMatchObject({ method: 8, compressedSize: 9, crc32: 3502553220 });
    expect(content(bytes, entries.get('weights/a.npy')!)).toBe('abc'.repeat(100));
    expect(content(bytes, entries.get('weights/café.bin')!)).toBe('xyz');
    expect(content(bytes, entries.get('big.bin')!)).toBe('0'.repeat(500));
  });

  it('refuses every shorter copy', async () => {
    for (const path of ['zip/torch.pt', 'zip/streamed.zip']) {
      const bytes = fixture(path);
      for (let length = 0; length < bytes.length; length++) {
        await expectError(() => read(bytes.subarray(0, length)), 'BAD_ZIP', /no end record/);
      }
    }
  });
});

describe('archives made by hand', () => {
  it('reads stored files, comments, folders and an empty archive', async () => {
    const bytes = buildZip({
      files: [{ name: 'd/', data: '' }, { name: 'd/x' }],
      end: { comment: 'PK\x05\x06 hello' },
    });
    const entries = await read(bytes);
    expect([...entries.keys()]).toEqual(['d/x']);
    expect(content(bytes, entries.get('d/x')!)).toBe('data');
    expect((await read(buildZip({ files: [] }))).size).toBe(0);
  });

  it('reads zip64 sizes and offsets where the short fields say so', async () => {
    const both = { packed: absent, unpacked: absent, extra: extra64(4, 4) };
    const bytes = buildZip({
      files: [{ name: 'first' }, { name: 'second', both, listed: { offset: absent, extra: extra64(4, 4, 39) } }],
      end: { entries: 0xffff, length: absent, offset: absent },
      end64: { entries: 2 },
    });
    const entries = await read(bytes);
    expect(content(bytes, entries.get('second')!)).toBe('data');
  });

  it('reads the directory and the headers, not the data', async () => {
    const data = 'x'.repeat(200_000);
    const { source, spy } = spySource(
      buildZip({
        files: [
          { name: 'a', data },
          { name: 'b', data },
        ],
      }),
    );
    expect((await readZipDirectory(source)).size).toBe(2);
    expect(spy.bytesRead).toBeLessThan(70_000);
  });

  const cases: [string, ZipParts, RegExp][] = [
    ['a name that climbs', { files: [{ name: '../a' }] }, /"\.\.\/a" has a name that could lead out/],
    ['a name that climbs later', { files: [{ name: 'a/../../b' }] }, /could lead out/],
    ['an absolute name', { files: [{ name: '/etc/passwd' }] }, /could lead out/],
    ['a drive', { files: [{ name: 'C:a' }] }, /could lead out/],
    ['a backslash', { files: [{ name: '..\\a' }] }, /could lead out/],
    ['an empty name', { files: [{ name: '' }] }, /could lead out/],
    ['a name with a NUL', { files: [{ name: 'a\0b' }] }, /"a\\u0000b" has a name/],
    ['a name that is not UTF-8', { files: [{ both: { name: new Uint8Array([0xff]) } }] }, /not UTF-8/],
    ['a name twice', { files: [{}, {}] }, /the entry "a" twice/],
    ['another name in the header', { files: [{ local: { name: 'b' } }] }, /disagree on its name/],
    ['a longer name in the header', { files: [{ local: { name: 'ab' } }] }, /disagree on its name/],
    ['another method in the header', { files: [{ local: { method: 8 } }] }, /disagree on its compression method/],
    ['other sizes in the header', { files: [{ local: { packed: 3 } }] }, /disagree on its compressed size/],
    ['another length in the header', { files: [{ local: { unpacked: 3 } }] }, /disagree on its uncompressed size/],
    ['another checksum in the header', { files: [{ local: { crc: 2 } }] }, /disagree on its crc32/],
    ['encryption in the header only', { files: [{ local: { flags: 1 } }] }, /disagree on its flags/],
    [
      'no sizes in the header',
      { files: [{ local: { packed: 0, unpacked: 0, crc: 0 } }] },
      /disagree on its uncompressed size/,
    ],
    ['no zip64 field in the header', { files: [{ local: { packed: absent } }] }, /disagree on its zip64 sizes/],
    ['no zip64 field in the directory', { files: [{ listed: { packed: absent } }] }, /"a" lacks its zip64 sizes/],
    [
      'a short zip64 field',
      { files: [{ listed: { packed: absent, unpacked: absent, extra: extra64(4) } }] },
      /lacks its zip64/,
    ],
    [
      'a zip64 size of 2^64 - 1',
      { files: [{ both: { packed: absent, unpacked: absent, extra: extra64(2n ** 64n - 1n, 2n ** 64n - 1n) } }] },
      /does not lie before the directory/,
    ],
    ['encryption', { files: [{ both: { flags: 1 } }] }, /"a" is encrypted/],
    ['a folder with data', { files: [{ listed: { attributes: 0x10 } }] }, /"a" is marked as a folder/],
    ['a patch', { files: [{ both: { flags: 32 } }] }, /"a" is a patch/],
    ['bzip2', { files: [{ both: { method: 12 } }] }, /"a" uses compression method 12/],
    ['a stored size that differs', { files: [{ both: { unpacked: 5 } }] }, /claims 5 bytes in 4 with method 0/],
    [
      'more than deflate can hold',
      { files: [{ both: { method: 8, unpacked: 5000 } }] },
      /claims 5000 bytes in 4 with method 8/,
    ],
    ['no header', { files: [{ local: { signature: 7 } }] }, /"a" has no header at byte 0/],
    ['a header beyond the directory', { files: [{ listed: { offset: 5000 } }] }, /does not lie before the directory/],
    [
      'data beyond the directory',
      { files: [{ both: { packed: 500, unpacked: 500 } }] },
      /does not lie before the directory/,
    ],
    [
      'entries that share bytes',
      { files: [{ both: { packed: 20, unpacked: 20 } }, { name: 'b' }] },
      /"a" and "b" share bytes/,
    ],
    ['a bad directory entry', { files: [{ listed: { signature: 7 } }] }, /no entry 0 of 1/],
    ['too few entries', { files: [{}, { name: 'b' }], end: { entries: 1 } }, /47 bytes beyond its 1 entries/],
    ['too many entries', { end: { entries: 2 } }, /ends within entry 1 of 2/],
    ['bytes after the directory', { gap: 'junk' }, /4 bytes beyond its 1 entries/],
    [
      'a prefix',
      { prefix: 'MZ', end: { offset: 35 } },
      /directory ends at byte 82, but the record after it starts at 84/,
    ],
    ['a directory beyond the file', { end: { offset: 0x7fffffff } }, /directory ends at byte/],
    [
      'a huge directory',
      { end: { length: 0x7fffffff } },
      /directory of 2147483647 bytes, the most accepted is 67108864/,
    ],
    ['another disk', { end: { disk: 1 } }, /one part of a split archive/],
    ['entries on other disks', { end: { here: 0 } }, /has 0 of 1 entries/],
    [
      '2^60 entries',
      { end: { entries: 0xffff }, end64: { entries: 2 ** 60 } },
      /has 115292150460684\d+ entries, the most accepted is 131072/,
    ],
    ['end records that disagree', { end64: { entries: 2 } }, /disagree on entries: 1 and 2/],
    [
      'a zip64 record elsewhere',
      { end64: { at: 2n ** 60n } },
      /zip64 end record at 115292150460684\d+ does not lie before/,
    ],
    ['a zip64 record that is none', { end64: { signature: 1 } }, /no zip64 end record at byte/],
  ];
  it.each(cases)('refuses %s', async (_, parts, message) => {
    await expectError(() => read(buildZip(parts)), 'BAD_ZIP', message);
  });
});
