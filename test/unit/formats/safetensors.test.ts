import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floatToHalf, halfToFloat, memorySource } from '../../../src/base/index.ts';
import { encodeSafetensors, openSafetensors, type TensorToEncode } from '../../../src/formats/index.ts';
import { expectError, expectSameFloats, fromBase64, spySource } from './helpers.ts';

// Written by safetensors 0.8.0 for Python (the Rust library) from the tensors below.
const reference = fromBase64(
  '6AEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCLDqVwieCI6eyJkdHlwZSI6Ikk2NCIsInNoYXBlIjpbMSwyXSwiZGF0YV9v' +
    'ZmZzZXRzIjpbMCwxNl19LCJlIjp7ImR0eXBlIjoiRjY0Iiwic2hhcGUiOlswLDNdLCJkYXRhX29mZnNldHMiOlsxNiwxNl19LCJiIjp7ImR0eXBl' +
    'IjoiRjMyIiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbMTYsMjhdfSwicyI6eyJkdHlwZSI6IkkzMiIsInNoYXBlIjpbXSwiZGF0YV9vZmZz' +
    'ZXRzIjpbMjgsMzJdfSwiYSI6eyJkdHlwZSI6IkJGMTYiLCJzaGFwZSI6WzIsMl0sImRhdGFfb2Zmc2V0cyI6WzMyLDQwXX0sInoiOnsiZHR5cGUi' +
    'OiJGMTYiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls0MCw0NF19LCJ1Ijp7ImR0eXBlIjoiVTgiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNl' +
    'dHMiOls0NCw0NV19LCJ0Ijp7ImR0eXBlIjoiQk9PTCIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6WzQ1LDQ3XX19ICAgICAgIAEAAAAAAAAA' +
    '/v////////8AAAAAAACAPwAAAEAFAAAAAACAPwBAQEAAPgBABwEA',
);

const referenceTensors: TensorToEncode[] = [
  { name: 'b', dtype: 'F32', shape: [3], data: new Float32Array([0, 1, 2]) },
  { name: 'a', dtype: 'BF16', shape: [2, 2], data: new Uint16Array([0, 0x3f80, 0x4000, 0x4040]) },
  { name: 'z', dtype: 'F16', shape: [2], data: new Uint16Array([0x3e00, 0x4000]) },
  { name: 'é"x', dtype: 'I64', shape: [1, 2], data: new BigInt64Array([1n, -2n]) },
  { name: 'u', dtype: 'U8', shape: [1], data: new Uint8Array([7]) },
  { name: 't', dtype: 'BOOL', shape: [2], data: new Uint8Array([1, 0]) },
  { name: 'e', dtype: 'F64', shape: [0, 3], data: new Float64Array(0) },
  { name: 's', dtype: 'I32', shape: [], data: new Int32Array([5]) },
];

const open = (bytes: Uint8Array) => openSafetensors(memorySource('x.safetensors', bytes));

/** A file with this header text and so many bytes of data. */
function file(header: string, dataBytes: number, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

describe('reading', () => {
  it('reads what the reference library wrote', async () => {
    const opened = await open(reference);
    expect([...opened.metadata]).toEqual([['format', 'pt']]);
    expect(opened.tensors.get('a')).toEqual({ name: 'a', dtype: 'BF16', shape: [2, 2] });
    const values = async (name: string) => [...(await opened.readFloat32(name))];
    expect(await values('b')).toEqual([0, 1, 2]);
    expect(await values('a')).toEqual([0, 1, 2, 3]);
    expect(await values('z')).toEqual([1.5, 2]);
    expect(await values('é"x')).toEqual([1, -2]);
    expect(await values('u')).toEqual([7]);
    expect(await values('t')).toEqual([1, 0]);
    expect(await values('e')).toEqual([]);
    expect(await values('s')).toEqual([5]);
    expect(opened.tensors.size).toBe(8);
  });

  it('reads rows, and no bytes beyond them', async () => {
    const data = Float32Array.from({ length: 4000 }, (_, i) => i);
    const bytes = encodeSafetensors([{ name: 'm', dtype: 'F32', shape: [40, 10, 10], data }]);
    const { source, spy } = spySource(bytes);
    const opened = await openSafetensors(source);
    spy.bytesRead = 0;
    expect(await opened.readFloat32('m', 3, 5)).toEqual(data.subarray(300, 500));
    expect(spy.bytesRead).toBe(800);
    expect(await opened.readFloat32('m', 39)).toEqual(data.subarray(3900));
    expect((await opened.readFloat32('m', 7, 7)).length).toBe(0);
    await opened.close();
    expect(spy.closed).toBe(1);
  });

  it('gives stored bytes, and only those of the tensor', async () => {
    const { source, spy } = spySource(reference);
    const opened = await openSafetensors(source);
    spy.bytesRead = 0;
    expect(opened.byteLength('a')).toBe(8);
    // 0, 1, 2, 3 in bfloat16.
    expect([...(await opened.readBytes('a'))]).toEqual([0, 0, 0x80, 0x3f, 0, 0x40, 0x40, 0x40]);
    expect([...(await opened.readBytes('a', 3, 6))]).toEqual([0x3f, 0, 0x40]);
    expect(await opened.readBytes('a', 8)).toHaveLength(0);
    expect(await opened.readBytes('e')).toHaveLength(0);
    expect(spy.bytesRead).toBe(11);
    await expectError(() => opened.readBytes('a', 0, 9), 'BYTE_RANGE', /"a" has 8 bytes; asked for bytes 0 to 9/);
    await expectError(() => opened.readBytes('a', 5, 4), 'BYTE_RANGE', /bytes 5 to 4/);
    await expectError(() => opened.readBytes('a', -1), 'BYTE_RANGE', /bytes -1 to 8/);
    await expectError(() => opened.readBytes('nope'), 'TENSOR_NOT_FOUND', /no tensor "nope"/);
  });

  it('joins the chunks of a large tensor', async () => {
    const data = Uint8Array.from({ length: 3 * 700_000 }, (_, i) => i % 251);
    const opened = await open(encodeSafetensors([{ name: 'm', dtype: 'U8', shape: [3, 700_000], data }]));
    expectSameFloats(await opened.readFloat32('m'), Float32Array.from(data));
    expectSameFloats(await opened.readFloat32('m', 1), Float32Array.from(data.subarray(700_000)));
  });

  it('reads data at odd addresses', async () => {
    const header = '{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}   ';
    expect(header.length % 2).toBe(1);
    const bytes = file(header, 8);
    new DataView(bytes.buffer).setFloat64(bytes.length - 8, 0.5, true);
    expect([...(await (await open(bytes)).readFloat32('a'))]).toEqual([0.5]);
  });

  it('keeps names that are special to JavaScript', async () => {
    const names = ['__proto__', 'constructor', '10', '2', ''];
    const tensors = names.map((name, i) => ({
      name,
      dtype: 'U8' as const,
      shape: [1],
      data: new Uint8Array([i]),
    }));
    const opened = await open(encodeSafetensors(tensors));
    for (const [i, name] of names.entries()) expect([...(await opened.readFloat32(name))]).toEqual([i]);
    expect(opened.tensors.size).toBe(names.length);
  });

  it('says which names are near, which rows exist, which types cannot be read', async () => {
    const opened = await open(
      file(
        '{"lm_head.weight":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]},"v":{"dtype":"U8","shape":[3],"data_offsets":[4,7]}}',
        7,
      ),
    );
    await expectError(
      () => opened.readFloat32('lm_head.weigth'),
      'TENSOR_NOT_FOUND',
      /nearest names: "lm_head\.weight"$/,
    );
    await expectError(() => opened.readFloat32('zzz'), 'TENSOR_NOT_FOUND', /none with a similar name/);
    await expectError(
      () => opened.readFloat32('lm_head.weight'),
      'UNSUPPORTED_DTYPE',
      /"lm_head\.weight" has type F8_E4M3/,
    );
    await expectError(() => opened.readFloat32('v', 0, 2), 'ROW_RANGE', /has 1 row\(s\); asked for rows 0 to 2/);
    await expectError(() => opened.readFloat32('v', 1, 0), 'ROW_RANGE', /rows 1 to 0/);
    await expectError(() => opened.readFloat32('v', 0.5), 'ROW_RANGE', /rows 0.5 to 1/);
    await expectError(() => opened.readFloat32('v', -1), 'ROW_RANGE', /rows -1 to 1/);
  });
});

describe('files made to deceive', () => {
  const tensor = (name: string, from: number, to: number, shape = `[${to - from}]`, dtype = 'U8') =>
    `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${from},${to}]}`;
  const cases: [string, Uint8Array, string, RegExp][] = [
    ['an empty file', new Uint8Array(0), 'TRUNCATED', /needs bytes 0 to 8, but the file has 0/],
    ['a header beyond the file', file('{}', 0, 3n), 'TRUNCATED', /needs bytes 8 to 11, but the file has 10/],
    ['a huge header', file('{}', 0, 100_000_001n), 'BAD_SAFETENSORS', /100000001 bytes, more than the 100000000/],
    ['a header of 2^64 - 1 bytes', file('{}', 0, 2n ** 64n - 1n), 'BAD_SAFETENSORS', /18446744073709551615 bytes/],
    ['no JSON', file('{"a":', 0), 'BAD_SAFETENSORS', /is not JSON/],
    ['an empty header', file('', 0), 'BAD_SAFETENSORS', /does not start with/],
    ['an array', file('[]', 0), 'BAD_SAFETENSORS', /does not start with "{"/],
    ['a leading space', file(' {}', 0), 'BAD_SAFETENSORS', /does not start with "{"/],
    ['invalid UTF-8', file('{"a":"ÿ"}', 0).map((b) => (b === 0xc3 ? 0xff : b)), 'BAD_SAFETENSORS', /not UTF-8/],
    ['a duplicate key', file(`{${tensor('a', 0, 1)},${tensor('a', 1, 2)}}`, 2), 'BAD_SAFETENSORS', /the key "a" twice/],
    [
      'an escaped duplicate',
      file(`{${tensor('a', 0, 1)},${tensor('\\u0061', 1, 2)}}`, 2),
      'BAD_SAFETENSORS',
      /"a" twice/,
    ],
    [
      'a duplicate field',
      file('{"a":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,2]}}', 2),
      'BAD_SAFETENSORS',
      /"shape" twice/,
    ],
    [
      'an overlap',
      file(`{${tensor('a', 0, 4)},${tensor('b', 2, 6)}}`, 6),
      'BAD_SAFETENSORS',
      /"b" overlaps .* byte 2 .* not 4/,
    ],
    ['the same bytes twice', file(`{${tensor('a', 0, 4)},${tensor('b', 0, 4)}}`, 4), 'BAD_SAFETENSORS', /"b" overlaps/],
    [
      'a hole',
      file(`{${tensor('a', 0, 2)},${tensor('b', 4, 6)}}`, 6),
      'BAD_SAFETENSORS',
      /"b" leaves a hole .* byte 4 .* not 2/,
    ],
    ['a hole at the start', file(`{${tensor('a', 1, 2)}}`, 2), 'BAD_SAFETENSORS', /"a" leaves a hole/],
    ['bytes after the last tensor', file(`{${tensor('a', 0, 2)}}`, 3), 'BAD_SAFETENSORS', /cover 2 bytes .* has 3/],
    [
      'truncated data',
      file(`{${tensor('a', 0, 2)}}`, 1),
      'TRUNCATED',
      /"a" ends at byte 2 of the data, but there are 1/,
    ],
    [
      'a wrong size',
      file(`{${tensor('a', 0, 4, '[2]', 'F32')}}`, 4),
      'BAD_SAFETENSORS',
      /needs 8 bytes, but .* span 4/,
    ],
    [
      'half a byte',
      file(`{${tensor('a', 0, 1, '[3]', 'F4')}}`, 1),
      'BAD_SAFETENSORS',
      /needs 1.5 bytes, but .* span 1/,
    ],
    [
      'a product that overflows',
      file(`{${tensor('a', 0, 0, '[4294967296,4294967296,4294967296,4294967296]')}}`, 0),
      'BAD_SAFETENSORS',
      /more bytes than can be counted/,
    ],
    [
      'a product that overflows times nothing',
      file(`{${tensor('a', 0, 0, '[0,9007199254740991,9007199254740991]')}}`, 0),
      'BAD_SAFETENSORS',
      /more bytes than can be counted/,
    ],
    ['a negative size', file(`{${tensor('a', 0, 1, '[-1]')}}`, 1), 'BAD_SAFETENSORS', /has the shape \[-1\]/],
    ['a fractional size', file(`{${tensor('a', 0, 1, '[0.5]')}}`, 1), 'BAD_SAFETENSORS', /has the shape \[0.5\]/],
    ['no shape', file('{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1), 'BAD_SAFETENSORS', /has the shape nothing/],
    [
      'offsets the wrong way',
      file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}', 1),
      'BAD_SAFETENSORS',
      /data_offsets \[1,0\]/,
    ],
    [
      'three offsets',
      file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}', 1),
      'BAD_SAFETENSORS',
      /data_offsets/,
    ],
    ['an unknown dtype', file(`{${tensor('a', 0, 1, '[1]', 'U7')}}`, 1), 'BAD_SAFETENSORS', /unknown dtype "U7"/],
    ['a tensor that is no object', file('{"a":[1]}', 0), 'BAD_SAFETENSORS', /"a" is not described by an object/],
    ['metadata that is no object', file('{"__metadata__":["a"]}', 0), 'BAD_SAFETENSORS', /__metadata__ is not/],
    [
      'metadata that is no string',
      file('{"__metadata__":{"a":1}}', 0),
      'BAD_SAFETENSORS',
      /__metadata__ "a" is not a string/,
    ],
    ['half a surrogate pair', file(`{${tensor('\\ud800', 0, 1)}}`, 1), 'BAD_SAFETENSORS', /well-formed/],
    [
      'deep nesting',
      file(`{"a":{"dtype":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`, 0),
      'BAD_SAFETENSORS',
      /nested deeper than 128/,
    ],
    ['control characters in a name', file('{"\\u001b[2J":1}', 0), 'BAD_SAFETENSORS', /"\\u001b\[2J"/],
  ];
  it.each(cases)('refuses %s', async (_, bytes, code, message) => {
    const { source, spy } = spySource(bytes);
    await expectError(() => openSafetensors(source), code, message);
    expect(spy.closed).toBe(1);
  });

  it('accepts what only looks odd', async () => {
    expect((await open(file('{}', 0))).tensors.size).toBe(0);
    const odd = file(`{${tensor('b', 0, 0, '[0]')},${tensor('a', 0, 2)},"__metadata__":{}}  \n`, 2);
    expect([...(await open(odd)).tensors.keys()]).toEqual(['b', 'a']);
  });
});

describe('writing', () => {
  it('writes byte for byte what the reference library wrote', () => {
    expect(encodeSafetensors(referenceTensors, { format: 'pt' })).toEqual(reference);
    expect(encodeSafetensors(referenceTensors.toReversed(), { format: 'pt' })).toEqual(reference);
  });

  it('pads an empty header', () => {
    expect([...encodeSafetensors([])]).toEqual([8, 0, 0, 0, 0, 0, 0, 0, 123, 125, 32, 32, 32, 32, 32, 32]);
  });

  const one = { name: 'a', dtype: 'F32', shape: [2], data: new Float32Array(2) } as const;
  it.each<[string, TensorToEncode[], RegExp]>([
    ['a wrong size', [{ ...one, shape: [3] }], /needs 12 bytes, but its data has 8/],
    ['a size that is none', [{ ...one, shape: [-2, -1] }], /an impossible number of bytes/],
    ['a wrong array', [{ ...one, data: new Int32Array(2) }], /F32 needs a Float32Array, got a Int32Array/],
    ['a name used twice', [one, one], /"a" is used twice/],
    ['the reserved name', [{ ...one, name: '__metadata__' }], /reserved/],
    ['half a surrogate pair', [{ ...one, name: '\udc00' }], /well-formed/],
    ['an unknown dtype', [{ ...one, dtype: 'toString' as 'F32' }], /"toString" cannot be written/],
  ])('refuses %s', async (_, tensors, message) => {
    await expectError(() => encodeSafetensors(tensors), 'USAGE', message);
  });

  it('refuses metadata that JSON cannot carry', async () => {
    await expectError(() => encodeSafetensors([], { a: '\ud800' }), 'USAGE', /not well-formed/);
    await expectError(() => encodeSafetensors([], { a: 1 as unknown as string }), 'USAGE', /metadata "1"/);
  });

  it('round trips any tensors', async () => {
    const halves = (values: number[]) => Uint16Array.from(values, floatToHalf);
    const kinds = [
      ['F32', (v: number[]) => Float32Array.from(v), Math.fround],
      ['F64', (v: number[]) => Float64Array.from(v), Math.fround],
      ['F16', halves, (x: number) => halfToFloat(floatToHalf(x))],
      ['I32', (v: number[]) => Int32Array.from(v), (x: number) => Math.fround(x | 0)],
      ['I8', (v: number[]) => Int8Array.from(v), (x: number) => (x << 24) >> 24],
      ['I64', (v: number[]) => BigInt64Array.from(v, (x) => BigInt(Math.trunc(x))), (x: number) => Math.trunc(x) + 0],
    ] as const;
    const arbitrary = fc.record({
      name: fc.string({ unit: 'grapheme' }).filter((name) => name !== '__metadata__'),
      kind: fc.constantFrom(...kinds),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
      seed: fc.array(fc.integer({ min: -3000, max: 3000 }), { minLength: 64, maxLength: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(arbitrary, { selector: ({ name }) => name, maxLength: 6 }),
        fc.dictionary(fc.string(), fc.string()),
        async (list, metadata) => {
          const tensors = list.map(({ name, kind: [dtype, pack, unpack], shape, seed }) => {
            const values = seed
              .slice(
                0,
                shape.reduce((a, b) => a * b, 1),
              )
              .map((x) => x / 8);
            return { name, dtype, shape, data: pack(values), expected: values.map(unpack) };
          });
          const bytes = encodeSafetensors(tensors, metadata);
          const opened = await open(bytes);
          expect(Object.fromEntries(opened.metadata)).toEqual({ ...metadata });
          expect(opened.tensors.size).toBe(tensors.length);
          for (const { name, dtype, shape, expected } of tensors) {
            expect(opened.tensors.get(name)).toEqual({ name, dtype, shape });
            expect([...(await opened.readFloat32(name))]).toEqual(expected);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
