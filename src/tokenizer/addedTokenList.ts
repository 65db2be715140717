// Tokens that stand beside the model: tokenizer.json's added_tokens and tokenizer_config.json's added_tokens_decoder.

import type { HuacayaError } from '../base/index.ts';
import { type AddedToken, isObject, isTokenId, quote } from './definition.ts';

/**
 * @param list of tokens with their ids. @param decoder id -> token; it wins over the list.
 * @param idOf id of a token of the model, which wins over both.
 * @returns by content. What has to be mended is told in `repairs`.
 */
export function readAddedTokens(
  list: unknown,
  decoder: unknown,
  idOf: (token: string) => number | undefined,
  repairs: string[],
  bad: (message: string) => HuacayaError,
): Map<string, AddedToken> {
  const raw: unknown[] = Array.isArray(list) ? [...list] : [];
  if (isObject(decoder)) {
    for (const [id, token] of Object.entries(decoder)) if (isObject(token)) raw.push({ ...token, id: Number(id) });
  }
  const tokens = new Map<string, AddedToken>();
  for (const token of raw) {
    if (!isObject(token) || typeof token.content !== 'string' || !isTokenId(token.id)) {
      throw bad(`added token ${quote(token)} needs a content and an id`);
    }
    const special = token.special === true;
    const known = idOf(token.content) ?? tokens.get(token.content)?.id;
    if (known !== undefined && known !== token.id) {
      repairs.push(`${quote(token.content)} has the id ${token.id} as an added token, ${known} before: took ${known}`);
    }
    tokens.set(token.content, {
      id: known ?? token.id,
      content: token.content,
      special,
      normalized: typeof token.normalized === 'boolean' ? token.normalized : !special,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      singleWord: token.single_word === true,
    });
  }
  return tokens;
}

/** A token that is found as it is written and shown only on demand: BOS, EOS, those that bound a chat. */
export const specialToken = (id: number, content: string): AddedToken => ({
  id,
  content,
  special: true,
  normalized: false,
  lstrip: false,
  rstrip: false,
  singleWord: false,
});

/** BOS, EOS and so on are special even where the files forgot to say so. */
export function markSpecial(added: Map<string, AddedToken>, named: Iterable<{ content: string; id: number }>): void {
  for (const { content, id } of named) {
    added.set(content, { ...(added.get(content) ?? specialToken(id, content)), special: true });
  }
}
