import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../src/base/index.ts';
import { openGguf } from '../../../src/formats/index.ts';
import { buildGguf } from './ggufBuilder.ts';
import { expectError, expectSameFloats, fixture, fromBase64, spySource } from './helpers.ts';

// Written by gguf-py 0.19 (the writer of ggml's authors); the expected values come from its numpy dequantisers, fed
// with random blocks.
const allTypes = fixture('gguf/allTypes.gguf');
const expected: Record<string, { dtype: string; shape: number[]; float32: string }> = JSON.parse(
  new TextDecoder().decode(fixture('gguf/allTypes.json')),
);

const open = (bytes: Uint8Array) => openGguf(memorySource('x.gguf', bytes));

describe('a file of the reference writer', () => {
  it('gives the metadata', async () => {
    const { metadata, version } = await open(allTypes);
    expect(version).toBe(3);
    expect(Object.fromEntries(metadata)).toEqual({
      'general.architecture': 'llama',
      text: 'café 🦙',
      u8: 200,
      i8: -100,
      u16: 60000,
      i16: -30000,
      u32: 4_000_000_000,
      i32: -2_000_000_000,
      f32: Math.fround(0.1),
      yes: true,
      u64: 2 ** 53 - 1,
      big: 2n ** 64n - 1n,
      i64: -(2 ** 40),
      f64: 0.1,
      // A byte order mark is a token like any other and must not be swallowed.
      tokens: ['a', '\ufeff', 'Ġb'],
      scores: new Float32Array([0.5, -1.25]),
      ids: new Int32Array([1, 2, -3]),
      flags: [true, false],
    });
  });

  it('covers every other type that can be read', () => {
    const types = new Set(Object.values(expected).map(({ dtype }) => dtype));
    const wanted = 'F32 F16 BF16 F64 I64 I32 I16 I8 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K'.split(' ');
    expect([...types].sort()).toEqual(wanted.sort());
  });

  it.each(Object.keys(expected))('dequantises %s exactly, whole and by rows', async (name) => {
    const { dtype, shape, float32 } = expected[name];
    const values = new Float32Array(fromBase64(float32).slice().buffer);
    const file = await open(allTypes);
    expect(file.tensors.get(name)).toEqual({ name, dtype, shape });
    expectSameFloats(await file.readFloat32(name), values);
    if (shape.length < 2) return;
    const width = values.length / shape[0];
    for (let row = 0; row < shape[0]; row++) {
      expectSameFloats(await file.readFloat32(name, row, row + 1), values.subarray(row * width, (row + 1) * width));
    }
    expectSameFloats(await file.readFloat32(name, 1), values.subarray(width));
  });

  it.each([
    ['a Uint8Array', new Uint8Array(allTypes.length + 1)],
    ['a Buffer, whose slice is no copy', Buffer.alloc(allTypes.length + 1)],
  ])('reads at odd addresses of %s', async (_, shifted) => {
    shifted.set(allTypes, 1);
    const file = await open(shifted.subarray(1));
    expect(file.metadata.get('ids')).toEqual(new Int32Array([1, 2, -3]));
    for (const [name, { float32 }] of Object.entries(expected)) {
      expectSameFloats(await file.readFloat32(name), new Float32Array(fromBase64(float32).slice().buffer));
    }
  });

  it('refuses every shorter copy', async () => {
    for (let length = 0; length < allTypes.length; length++) {
      await expectError(() => open(allTypes.subarray(0, length)), 'TRUNCATED', /^x\.gguf: /);
    }
  });
});

describe('types of 2 to 4 bits', () => {
  // test/fixtures/gguf/make.py
  const file = fixture('gguf/lowBits.gguf');
  const values: typeof expected = JSON.parse(new TextDecoder().decode(fixture('gguf/lowBits.json')));

  it.each(Object.keys(values))('dequantises %s exactly, whole and by rows', async (name) => {
    const { dtype, shape, float32 } = values[name];
    const wanted = new Float32Array(fromBase64(float32).slice().buffer);
    expect(shape).toEqual([3, 256]);
    const opened = await open(file);
    expect(opened.tensors.get(name)).toEqual({ name, dtype, shape });
    expectSameFloats(await opened.readFloat32(name), wanted);
    expectSameFloats(await opened.readFloat32(name, 1, 2), wanted.subarray(256, 512));
  });

  it('are the four', () => {
    expect(Object.values(values).map(({ dtype }) => dtype)).toEqual(['Q2_K', 'Q3_K', 'IQ4_NL', 'IQ4_XS']);
  });
});

describe('reading little', () => {
  const strings = Array.from({ length: 60_000 }, (_, i) => `token number ${i} with a long name`);
  const header = buildGguf({
    keys: [
      [
        'tokens',
        (b) => {
          b.u32(9).u32(8).u64(strings.length);
          for (const text of strings) b.string(text);
        },
      ],
    ],
    tensors: [{ dims: [4096, 700_000], type: 3 }],
  });

  it('parses the header of a large file without reading the file', async () => {
    expect(header.length).toBeGreaterThan(2 << 20);
    const { source, spy } = spySource(header, 'x.gguf', 13e9);
    const file = await openGguf(source);
    expect(file.metadata.get('tokens')).toEqual(strings);
    expect(spy.bytesRead).toBe(4 << 20);
    expect(spy.reads).toBe(2);
    spy.bytesRead = 0;
    expect((await file.readFloat32('t', 699_999)).length).toBe(4096);
    expect(spy.bytesRead).toBe((4096 / 32) * 20);
    await file.close();
    expect(spy.closed).toBe(1);
  });

  it('joins the chunks of a large tensor', async () => {
    const rows = 40;
    const width = 32_768;
    const blocks = (rows * width) / 32;
    const data = new Uint8Array(blocks * 34);
    const values = new Float32Array(rows * width);
    for (let block = 0; block < blocks; block++) {
      data[block * 34 + 1] = 0x3c; // 1.0 as a half
      for (let j = 0; j < 32; j++) values[block * 32 + j] = ((block * 7 + j) % 255) - 127;
      for (let j = 0; j < 32; j++) data[block * 34 + 2 + j] = values[block * 32 + j];
    }
    const file = await open(buildGguf({ tensors: [{ dims: [width, rows], type: 8 }], data }));
    expectSameFloats(await file.readFloat32('t'), values);
    expectSameFloats(await file.readFloat32('t', 1, 39), values.subarray(width, 39 * width));
  });
});

describe('variants', () => {
  it('reads version 2, other alignments, scalars, empty tensors and nested arrays', async () => {
    const file = await open(
      buildGguf({
        version: 2,
        keys: [
          ['general.alignment', (b) => b.u32(4).u32(8)],
          ['nested', (b) => b.u32(9).u32(9).u64(2).u32(5).u64(1).u32(7).u32(8).u64(1).string('x')],
          [
            'longs',
            (b) =>
              b
                .u32(9)
                .u32(10)
                .u64(2)
                .u64(5)
                .u64(2n ** 63n),
          ],
          ['stray', (b) => b.u32(8).string(new Uint8Array([0x61, 0xff]))],
        ],
        tensors: [
          { name: 'scalar', dims: [], offset: 8 },
          { name: 'empty', dims: [4, 0], offset: 8 },
          { name: 'first', dims: [2], offset: 0 },
        ],
        align: 8,
        data: new Uint8Array(new Float32Array([1, 2, 3]).buffer),
      }),
    );
    expect(file.version).toBe(2);
    expect(file.metadata.get('nested')).toEqual([new Int32Array([7]), ['x']]);
    expect(file.metadata.get('longs')).toEqual([5, 2n ** 63n]);
    expect(file.metadata.get('stray')).toBe('a\ufffd');
    expect(file.tensors.get('scalar')?.shape).toEqual([]);
    expect([...(await file.readFloat32('scalar'))]).toEqual([3]);
    expect([...(await file.readFloat32('first'))]).toEqual([1, 2]);
    expect(file.tensors.get('empty')?.shape).toEqual([0, 4]);
    expect((await file.readFloat32('empty')).length).toBe(0);
  });

  it('opens a file with types it cannot decode, and names tensor and type when one is read', async () => {
    const file = await open(buildGguf({ tensors: [{ name: 'w', dims: [256], type: 19 }], data: new Uint8Array(50) }));
    expect(file.tensors.get('w')?.dtype).toBe('IQ1_S');
    await expectError(() => file.readFloat32('w'), 'UNSUPPORTED_DTYPE', /^x.gguf: tensor "w" has type IQ1_S$/);
  });
});
