// Small vocabularies for constraints, and ways to drive one: spell a text, walk at random.
import type { Rng } from '../../../src/base/index.ts';
import {
  jsonSchemaConstraint,
  regexConstraint,
  type TokenConstraint,
  type TokenTexts,
  type TokenVocabulary,
  tokenVocabulary,
} from '../../../src/infer/index.ts';

const utf8 = new TextEncoder();

/** All bytes as tokens 0 to 255, then these texts, then an end token. */
export function byteVocabulary(more: readonly (string | Uint8Array)[] = []): TokenVocabulary & { eosId: number } {
  const tokens = more.map((token) => (typeof token === 'string' ? utf8.encode(token) : token));
  const eosId = 256 + tokens.length;
  const texts: TokenTexts = {
    vocabSize: eosId + 1,
    eosIds: [eosId],
    bytes: (id) => (id < 256 ? Uint8Array.of(id) : tokens[id - 256]),
  };
  // Some rows of the model have no token.
  return { ...tokenVocabulary(texts, eosId + 20), eosId };
}

export const isAllowed = (mask: Uint32Array, id: number) => ((mask[id >>> 5]! >>> (id & 31)) & 1) === 1;

export function allowedIds(mask: Uint32Array): number[] {
  const ids: number[] = [];
  for (let id = 0; id < mask.length * 32; id++) if (isAllowed(mask, id)) ids.push(id);
  return ids;
}

export const plainBytes = byteVocabulary();

/** How far a text gets: all of it and the end, all of it, or the number of bytes. */
export function spell(constraint: TokenConstraint, text: string | Uint8Array): 'whole' | 'open' | number {
  const bytes = typeof text === 'string' ? utf8.encode(text) : text;
  for (const [i, byte] of bytes.entries()) {
    if (!isAllowed(constraint.allowed(), byte)) return i;
    constraint.accept(byte);
  }
  return isAllowed(constraint.allowed(), plainBytes.eosId) ? 'whole' : 'open';
}

export const accepts = (schema: unknown, text: string) =>
  spell(jsonSchemaConstraint(plainBytes, schema), text) === 'whole';
export const matches = (pattern: string, text: string) => spell(regexConstraint(plainBytes, pattern), text) === 'whole';

/**
 * Takes allowed tokens at random; after `patience` of them it prefers what brings the text to its end.
 * @returns the tokens before the end token.
 */
export function randomWalk(
  constraint: TokenConstraint,
  vocabulary: Pick<TokenVocabulary, 'eosIds' | 'bytes'>,
  rng: Rng,
  patience = 40,
): number[] {
  const ids: number[] = [];
  const pick = <T>(list: readonly T[]) => list[Math.floor(rng.uniform() * list.length)]!;
  while (ids.length < 3000) {
    const allowed = allowedIds(constraint.allowed());
    const end = allowed.find((id) => vocabulary.eosIds.includes(id));
    const late = ids.length > patience;
    if (end !== undefined && (late || allowed.length === 1 || rng.uniform() < 0.1)) {
      constraint.accept(end);
      return ids;
    }
    const going = allowed.filter((id) => id !== end);
    const closing = going.filter((id) => /^["\]}]$/.test(String.fromCharCode(...(vocabulary.bytes(id) ?? []))));
    // Within a string these may be text, so not always.
    const id = late && closing.length > 0 && rng.uniform() < 0.7 ? pick(closing) : pick(going);
    constraint.accept(id);
    ids.push(id);
  }
  throw new Error(`no end after ${ids.length} tokens`);
}

export function textOf(vocabulary: Pick<TokenVocabulary, 'bytes'>, ids: readonly number[]): string {
  const bytes = ids.flatMap((id) => [...vocabulary.bytes(id)!]);
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
}
