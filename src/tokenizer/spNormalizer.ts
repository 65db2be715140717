// What SentencePiece does to a text before it cuts it into pieces: replacement rules, runs of spaces, the space in
// front, '▁' for ' '. Step by step as in https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
import type { SentencePieceModel } from '../formats/index.ts';
import type { PieceTrie } from './pieceTrie.ts';
import { parseCharsmap, type Replacement } from './spCharsmap.ts';

export const SPACE = '▁';

/** @param dummyPrefix put a space in front (or behind, where spaces are suffixes). */
export type SpNormalizer = (text: string, dummyPrefix: boolean) => string;

interface Options {
  /** Symbols that stay as they are; undefined = none. */
  userDefined: PieceTrie | undefined;
  whitespaceAsSuffix: boolean;
}

/** @throws HuacayaError BAD_TOKENIZER for broken rules. */
export function createSpNormalizer(
  { precompiledCharsmap, removeExtraWhitespaces: removeExtra, escapeWhitespaces }: SentencePieceModel['normalizer'],
  { userDefined, whitespaceAsSuffix }: Options,
): SpNormalizer {
  const charsmap = precompiledCharsmap.length > 0 ? parseCharsmap(precompiledCharsmap) : undefined;
  const space = escapeWhitespaces ? SPACE : ' ';
  const escaped = (text: string) => (escapeWhitespaces ? text.replaceAll(' ', SPACE) : text);

  /** What is not taken over as it is; undefined = the character at `at` stays. */
  const replacementAt = (text: string, at: number): Replacement | undefined => {
    if (userDefined) {
      const end = userDefined.longestAt(text, at);
      if (end > at) return { text: text.slice(at, end), length: end - at };
    }
    return charsmap?.(text, at);
  };

  const withoutRules = (text: string) => escaped(removeExtra ? text.replace(/ +/g, ' ') : text);

  const withRules = (text: string): string => {
    let out = '';
    let afterSpace = removeExtra;
    let kept = 0;
    for (let at = 0; at < text.length; ) {
      const unit = text.charCodeAt(at);
      const replacement = replacementAt(text, at);
      if (!replacement && unit !== 0x20) {
        at += unit >= 0xd800 && unit < 0xdc00 ? 2 : 1;
        afterSpace = false;
        continue;
      }
      out += text.slice(kept, at);
      let piece = replacement?.text ?? ' ';
      if (afterSpace) piece = piece.replace(/^ +/, '');
      out += escaped(piece);
      // A piece that came to nothing leaves it as it was.
      if (piece !== '') afterSpace = removeExtra && piece.endsWith(' ');
      at += replacement?.length ?? 1;
      kept = at;
    }
    return out + text.slice(kept);
  };

  /** How much at the start of a text is nothing but spaces, by the rules. */
  const leadingSpaces = (text: string): number => {
    let at = 0;
    while (at < text.length) {
      const replacement = replacementAt(text, at);
      if ((replacement?.text ?? text[at]) !== ' ') break;
      at += replacement?.length ?? 1;
    }
    return at;
  };

  const withRulesOrNot = charsmap || userDefined ? withRules : withoutRules;
  return (raw, dummyPrefix) => {
    // As UTF-8 has it: half a surrogate pair is no character.
    let text = /[\ud800-\udfff]/u.test(raw) ? raw.replace(/[\ud800-\udfff]/gu, '\ufffd') : raw;
    if (removeExtra) text = text.slice(leadingSpaces(text));
    if (text === '') return '';
    let normalized = withRulesOrNot(text);
    if (dummyPrefix && !whitespaceAsSuffix) normalized = space + normalized;
    if (removeExtra) {
      let end = normalized.length;
      while (end > 0 && normalized[end - 1] === space) end--;
      normalized = normalized.slice(0, end);
    }
    return dummyPrefix && whitespaceAsSuffix ? normalized + space : normalized;
  };
}
