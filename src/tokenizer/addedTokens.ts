// Finds the tokens that stand outside of BPE, such as <|im_end|>, in a text. Rules of Hugging Face's `AddedVocabulary`:
// leftmost match, longest among those; lstrip and rstrip swallow white space; single_word wants word boundaries.
import type { AddedToken } from './definition.ts';

/** A stretch of plain text, or an id. */
export type Segment = string | number;

export type AddedTokenSplitter = (text: string) => readonly Segment[];

const escapeRegex = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]$/u;
const WORD_AFTER = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u;
/** At most one character is looked at; two units hold any. */
const near = (text: string, from: number, to: number) => text.slice(Math.max(0, from), to);

/** @param spelling how a token is spelled in the texts that will come (as it is, or normalized). */
export function createSplitter(
  tokens: readonly AddedToken[],
  spelling: (token: AddedToken) => string = (token) => token.content,
): AddedTokenSplitter {
  const byText = new Map<string, AddedToken>();
  for (const token of tokens) if (spelling(token) !== '') byText.set(spelling(token), token);
  if (byText.size === 0) return (text) => (text === '' ? [] : [text]);
  // The first alternative wins, so longer ones come first.
  const texts = [...byText.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(texts.map(escapeRegex).join('|'), 'g');

  return (text) => {
    const segments: Segment[] = [];
    let done = 0;
    for (const { 0: match, index } of text.matchAll(pattern)) {
      const token = byText.get(match)!;
      let start = index;
      let end = index + match.length;
      // A token before this one has swallowed its beginning.
      if (start < done) continue;
      if (
        token.singleWord &&
        (WORD_BEFORE.test(near(text, start - 2, start)) || WORD_AFTER.test(near(text, end, end + 2)))
      ) {
        continue;
      }
      if (token.lstrip) start = done + text.slice(done, start).trimEnd().length;
      if (token.rstrip) end = text.length - text.slice(end).trimStart().length;
      if (start > done) segments.push(text.slice(done, start));
      segments.push(token.id);
      done = end;
    }
    if (done < text.length) segments.push(text.slice(done));
    return segments;
  };
}
