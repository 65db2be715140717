import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dequantise4Bit,
  dequantise8Bit,
  dequantiseScales,
  fourBitLevels,
  parseQuantState,
} from '../../../src/formats/index.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('4-bit codes', () => {
  it('have the first value of a pair in the high nibble', () => {
    const out = new Float32Array(4);
    const scales = { values: Float32Array.of(2), first: 0, blockSize: 64 };
    dequantise4Bit(Uint8Array.of(0xf0, 0x7b), fourBitLevels.nf4, scales, 0, out);
    expect([...out]).toEqual([2, -2, 0, Math.fround(2 * fourBitLevels.nf4[11]!)]);
  });

  it('have the levels of the format', () => {
    expect([...fourBitLevels.nf4].sort((a, b) => a - b)).toEqual([...fourBitLevels.nf4]);
    expect(fourBitLevels.fp4[3]).toBe(1);
    expect(fourBitLevels.fp4[1]).toBe(Math.fround(1 / 192));
    for (let code = 0; code < 8; code++) expect(fourBitLevels.fp4[code + 8]).toBe(-fourBitLevels.fp4[code]!);
  });

  it('give any range as the whole would', () => {
    const range = fc.integer({ min: 1, max: 300 }).chain((length) =>
      fc.record({
        codes: fc.uint8Array({ minLength: Math.ceil(length / 2), maxLength: Math.ceil(length / 2) }),
        length: fc.constant(length),
        first: fc.integer({ min: 0, max: length - 1 }),
        count: fc.integer({ min: 0, max: length }),
        blockSize: fc.constantFrom(16, 32, 64),
      }),
    );
    fc.assert(
      fc.property(range, ({ codes, length, first, count, blockSize }) => {
        const values = Float32Array.from({ length: Math.ceil(length / blockSize) }, (_, i) => 1 + i / 3);
        const expected = Float32Array.from({ length }, (_, i) => {
          const byte = codes[Math.floor(i / 2)]!;
          return fourBitLevels.nf4[i % 2 ? byte % 16 : Math.floor(byte / 16)]! * values[Math.floor(i / blockSize)]!;
        });
        const last = Math.min(length, first + count);
        const out = new Float32Array(last - first);
        const block = Math.floor(first / blockSize);
        const scales = { values: values.subarray(block), first: block, blockSize };
        dequantise4Bit(
          codes.subarray(Math.floor(first / 2), Math.ceil(last / 2)),
          fourBitLevels.nf4,
          scales,
          first,
          out,
        );
        expect(out).toEqual(expected.subarray(first, last));
      }),
    );
  });
});

describe('quantised scales', () => {
  it('cross from one block of scales to the next', () => {
    const map = Float32Array.from({ length: 256 }, (_, i) => (i - 128) / 128);
    const nested = { map, scales: Float32Array.of(1, 10), blockSize: 256, offset: 0.5 };
    expect([...dequantiseScales(Uint8Array.of(128, 192, 192, 64), nested, 254)]).toEqual([0.5, 1, 5.5, -4.5]);
  });
});

describe('8-bit rows', () => {
  it('are scaled by the largest magnitude of their row', () => {
    const out = new Float32Array(4);
    dequantise8Bit(Int8Array.of(127, -127, 0, 64), Float32Array.of(3, 254), out);
    expect([...out]).toEqual([3, -3, 0, 128].map((value) => expect.closeTo(value, 4)));
  });
});

describe('the state of a 4-bit matrix', () => {
  const good = { quant_type: 'nf4', blocksize: 64, dtype: 'bfloat16', shape: [8, 20] };
  const nested = { ...good, nested_blocksize: 256, nested_dtype: 'float32', nested_offset: 0.25 };

  it('is read', () => {
    const read = (value: unknown) => parseQuantState('file', 'x', bytes(JSON.stringify(value)));
    expect(read(good)).toEqual({ type: 'nf4', blockSize: 64, shape: [8, 20] });
    expect(read(nested)).toEqual({
      type: 'nf4',
      blockSize: 64,
      shape: [8, 20],
      nested: { blockSize: 256, offset: 0.25 },
    });
  });

  it.each([
    ['not JSON', '{', 'is not JSON'],
    ['not an object', '[]', 'is not a JSON object'],
    ['another type', { ...good, quant_type: 'af4' }, 'has the quant_type "af4"'],
    ['a property of every object', { ...good, quant_type: 'toString' }, 'has the quant_type "toString"'],
    ['an odd block size', { ...good, blocksize: 63 }, 'has the blocksize 63'],
    ['no block', { ...good, blocksize: 0 }, 'has the blocksize 0'],
    ['a block size as text', { ...good, blocksize: '64' }, 'has the blocksize "64"'],
    ['no shape', { ...good, shape: null }, 'has the shape null'],
    ['a shape of text', { ...good, shape: ['8'] }, 'has the shape ["8"]'],
    ['half of nested', { ...nested, nested_offset: undefined }, 'has the nested_offset nothing'],
    ['the other half', { ...nested, nested_blocksize: undefined }, 'has the nested_blocksize nothing'],
    ['a key twice', '{"blocksize":64,"blocksize":32}', 'has the key "blocksize" twice'],
  ])('is refused: %s', (_, value, message) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    expect(() => parseQuantState('file', 'x', bytes(text))).toThrow(message);
  });
});
