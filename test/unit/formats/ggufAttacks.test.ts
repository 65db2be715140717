import { expect, it } from 'vitest';
import { openGguf } from '../../../src/formats/index.ts';
import { type Bytes, buildGguf, type GgufParts } from './ggufBuilder.ts';
import { expectError, spySource } from './helpers.ts';

const data = new Uint8Array(64);
const key = (value: (b: Bytes) => unknown): GgufParts => ({ keys: [['k', value]], data });
const tensor = (...tensors: NonNullable<GgufParts['tensors']>): GgufParts => ({ tensors, data });

const cases: [string, GgufParts, string, RegExp][] = [
  ['a wrong magic', { magic: 0x47475546 }, 'BAD_GGUF', /does not start with "GGUF"/],
  ['version 1', { version: 1 }, 'BAD_GGUF', /GGUF version 1; versions 2 and 3 are read/],
  ['version 4', { version: 4 }, 'BAD_GGUF', /GGUF version 4/],
  ['a big-endian file', { version: 0x03000000 }, 'BAD_GGUF', /big-endian/],
  ['2^60 tensors', { tensorCount: 2n ** 60n }, 'BAD_GGUF', /number of tensors is 1152921504606846976, .* 1048576/],
  ['more tensors than fit', { tensorCount: 1000, data }, 'TRUNCATED', /needs bytes 16 to 24016/],
  ['2^60 keys', { keyCount: 2n ** 60n }, 'BAD_GGUF', /number of keys is 1152921504606846976/],
  ['more keys than fit', { keyCount: 1000, data }, 'TRUNCATED', /needs bytes 24 to 13024/],
  [
    'a key of 70,000 bytes',
    { keys: [['k'.repeat(70_000), (b) => b.u32(0).u8(0)]] },
    'BAD_GGUF',
    /length of a key is 70000/,
  ],
  [
    'a key that is not UTF-8',
    { keys: [[new Uint8Array([0xff]), (b) => b.u32(0).u8(0)]] },
    'BAD_GGUF',
    /a key .* not UTF-8/,
  ],
  [
    'a key twice',
    {
      keys: [
        ['k', (b) => b.u32(0).u8(0)],
        ['k', (b) => b.u32(0).u8(1)],
      ],
    },
    'BAD_GGUF',
    /the key "k" twice/,
  ],
  ['an unknown value type', key((b) => b.u32(13).u32(0)), 'BAD_GGUF', /value type 13 at byte 33/],
  ['a boolean of 2', key((b) => b.u32(7).u8(2)), 'BAD_GGUF', /boolean at byte 37 is 2/],
  ['a string beyond the file', key((b) => b.u32(8).string('', 1000n)), 'TRUNCATED', /needs bytes 45 to 1045/],
  [
    'a string of 2^60 bytes',
    key((b) => b.u32(8).string('', 2n ** 60n)),
    'BAD_GGUF',
    /length of a string is 1152921504606846976/,
  ],
  ['a string of 2^64 - 1 bytes', key((b) => b.u32(8).string('', 2n ** 64n - 1n)), 'BAD_GGUF', /18446744073709551615/],
  ['an array beyond the file', key((b) => b.u32(9).u32(4).u64(1000)), 'TRUNCATED', /needs bytes 49 to 4049/],
  [
    'an array of 2^60 numbers',
    key((b) =>
      b
        .u32(9)
        .u32(0)
        .u64(2n ** 60n),
    ),
    'BAD_GGUF',
    /length of an array is/,
  ],
  ['more strings than fit', key((b) => b.u32(9).u32(8).u64(1000)), 'TRUNCATED', /needs bytes 49 to 8049/],
  ['an array of unknowns', key((b) => b.u32(9).u32(99).u64(0)), 'BAD_GGUF', /value type 99/],
  [
    'deep nesting',
    key((b) => {
      b.u32(9);
      for (let i = 0; i < 10; i++) b.u32(9).u64(1);
      b.u32(0).u64(0);
    }),
    'BAD_GGUF',
    /nested deeper than 4/,
  ],
  ['a fifth dimension', tensor({ dims: [1, 1, 1, 1, 1] }), 'BAD_GGUF', /"t" has 5 dimensions, the most is 4/],
  ['a dimension of 2^60', tensor({ dims: [2n ** 60n] }), 'BAD_GGUF', /"t" has a dimension of 1152921504606846976/],
  ['dimensions that overflow', tensor({ dims: [2 ** 32, 2 ** 32] }), 'BAD_GGUF', /too large to exist/],
  ['bytes that overflow', tensor({ dims: [2 ** 26, 2 ** 26] }), 'BAD_GGUF', /too large to exist/],
  [
    'a tensor beyond the file',
    tensor({ dims: [17] }),
    'TRUNCATED',
    /"t" ends at byte 68 of the data, but there are 64/,
  ],
  ['an offset beyond the file', tensor({ offset: 96 }), 'TRUNCATED', /"t" ends at byte 100/],
  ['an offset of 2^60', tensor({ offset: 2n ** 60n }), 'BAD_GGUF', /"t" has the offset 1152921504606846976/],
  ['a crooked offset', tensor({ offset: 4 }), 'BAD_GGUF', /offset 4, not a multiple of 32/],
  [
    'tensors that overlap',
    tensor({ name: 'a', dims: [10] }, { name: 'b', offset: 32 }),
    'BAD_GGUF',
    /"a" and "b" overlap/,
  ],
  ['a tensor twice', tensor({ dims: [0] }, { dims: [0] }), 'BAD_GGUF', /the tensor "t" twice/],
  ['a type that was withdrawn', tensor({ type: 4 }), 'UNSUPPORTED_DTYPE', /tensor "t" has the unknown ggml type 4/],
  [
    'a type of the future',
    tensor({ type: 4_000_000_000 }),
    'UNSUPPORTED_DTYPE',
    /"t" has the unknown ggml type 4000000000/,
  ],
  [
    'rows of broken blocks',
    tensor({ dims: [31, 32], type: 8 }),
    'BAD_GGUF',
    /rows of 31 elements, not a multiple of the 32 of Q8_0/,
  ],
  ['a scalar of blocks', tensor({ dims: [], type: 8 }), 'BAD_GGUF', /rows of 1 elements/],
  ...[0, 3, 2 ** 21].map((align): [string, GgufParts, string, RegExp] => [
    `an alignment of ${align}`,
    { keys: [['general.alignment', (b) => b.u32(4).u32(align)]] },
    'BAD_GGUF',
    new RegExp(`general.alignment is ${align}, not a power of two`),
  ]),
  [
    'a fractional alignment',
    { keys: [['general.alignment', (b) => b.u32(6).f32(32.5)]] },
    'BAD_GGUF',
    /alignment is 32.5/,
  ],
  [
    'an alignment of text',
    { keys: [['general.alignment', (b) => b.u32(8).string('32')]] },
    'BAD_GGUF',
    /alignment is 32, not/,
  ],
];

it.each(cases)('refuses %s', async (_, parts, code, message) => {
  const { source, spy } = spySource(buildGguf(parts), 'x.gguf');
  await expectError(() => openGguf(source), code, message);
  expect(spy.closed).toBe(1);
});

it('stops at the ceiling of the header, whatever the size of the file', async () => {
  const bytes = buildGguf(key((b) => b.u32(8).string('', 2n ** 27n)));
  const { source, spy } = spySource(bytes, 'x.gguf', 2 ** 43);
  await expectError(() => openGguf(source), 'BAD_GGUF', /the header goes on beyond 134217728 bytes/);
  expect(spy.bytesRead).toBe(2 ** 20);
});

it('grows what it reads only as far as a claim reaches', async () => {
  const bytes = buildGguf(key((b) => b.u32(8).string('', 5_000_000n)));
  const { source, spy } = spySource(bytes, 'x.gguf', 2 ** 43);
  expect((await openGguf(source)).metadata.get('k')).toHaveLength(5_000_000);
  expect(spy.bytesRead).toBe(45 + 5_000_000);
});
