// What the tests of this room share: fixtures, expected errors, sources that count, damaged copies.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type ByteSource, checkRange, HuacayaError, memorySource, type Rng } from '../../../src/base/index.ts';

export function fixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../fixtures/${path}`, import.meta.url)));
}

/** The error must be a HuacayaError with this code, and its message must match. */
export async function expectError(work: () => unknown, code: string, message: RegExp): Promise<void> {
  const error = await Promise.resolve()
    .then(work)
    .then(
      () => undefined,
      (cause: unknown) => cause,
    );
  expect(error).toBeInstanceOf(HuacayaError);
  expect({ code: (error as HuacayaError).code, message: (error as HuacayaError).message }).toEqual({
    code,
    message: expect.stringMatching(message),
  });
}

/** Bit for bit the same, the sign of zeros included; NaN counts as equal to NaN. Quick for millions of values. */
export function expectSameFloats(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  const at = actual.findIndex((value, i) => !Object.is(value, expected[i]));
  expect({ at, value: actual[at] }).toEqual({ at: -1, value: undefined });
}

/** A source that counts what is read and whether it was closed; given a larger size it ends in zeros. */
export function spySource(bytes: Uint8Array, name = 'test.bin', size = bytes.length) {
  const inner = memorySource(name, bytes);
  const spy = { bytesRead: 0, reads: 0, closed: 0 };
  const source: ByteSource = {
    name,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      spy.bytesRead += length;
      spy.reads++;
      if (offset + length <= bytes.length) return inner.read(offset, length);
      const zeros = new Uint8Array(length);
      zeros.set(bytes.subarray(Math.min(offset, bytes.length)));
      return zeros;
    },
    async close() {
      spy.closed++;
    },
  };
  return { source, spy };
}

/** One random damage: bytes changed, a huge or tiny number written, bytes cut out, doubled or cut off. */
export function damage(bytes: Uint8Array, rng: Rng, focus: number): Uint8Array {
  const copy = bytes.slice();
  // Most of a parser's decisions hang on the header, so three of four damages go there.
  const at = rng.below(rng.below(4) ? Math.min(focus, copy.length) : copy.length);
  switch (rng.below(6)) {
    case 0:
      copy[at] ^= 1 << rng.below(8);
      return copy;
    case 1:
      for (let i = 0; i < 4; i++) copy[rng.below(copy.length)] = rng.below(256);
      return copy;
    case 2: {
      const values = [0, 1, 0xff, 0x7f, 0x80];
      copy.fill(values[rng.below(values.length)], at, at + 1 + rng.below(8));
      return copy;
    }
    case 3:
      return copy.slice(0, at);
    case 4: {
      const end = Math.min(copy.length, at + 1 + rng.below(16));
      return new Uint8Array([...copy.subarray(0, at), ...copy.subarray(end)]);
    }
    default: {
      const end = Math.min(copy.length, at + 1 + rng.below(16));
      return new Uint8Array([...copy.subarray(0, end), ...copy.subarray(at)]);
    }
  }
}

export function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
