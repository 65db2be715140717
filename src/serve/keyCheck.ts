// Compares a bearer key in constant time: both sides are hashed first, so that neither bytes nor length show.
import { createHash, timingSafeEqual } from 'node:crypto';
import { usageError } from '../base/index.ts';

const digest = (text: string) => createHash('sha256').update(text, 'utf8').digest();

/** @throws HuacayaError USAGE for a key that no header can carry, or that is too short to be one. */
export function checkKey(key: string): string {
  if (!/^[\x21-\x7e]{8,512}$/.test(key)) {
    throw usageError(
      `the API key has ${key.length} characters; it must be 8 to 512 visible ASCII characters without spaces`,
      'Make one with: openssl rand -hex 24',
    );
  }
  return key;
}

/** @returns whether an Authorization header holds the key; without a key everybody has it. */
export function createKeyCheck(key: string | undefined): (authorization: string | undefined) => boolean {
  if (key === undefined) return () => true;
  const wanted = digest(key);
  return (authorization) => {
    const [, given] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
    // A missing key is compared too: no path is shorter than another.
    return timingSafeEqual(digest(given ?? ''), wanted) && given !== undefined;
  };
}
