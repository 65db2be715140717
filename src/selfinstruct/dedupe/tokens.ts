// Text to tokens: exactly as rouge_score 0.1.2 does it (without its stemmer), and a way for every other language.

export type Tokenise = (text: string) => string[];

/**
 * Lower case, then runs of a-z and 0-9, as `rouge_score.tokenize` without a stemmer. Because lower case comes first, the
 * Kelvin sign counts as k and a dotted capital I as i; every other letter outside ASCII separates words. Chinese has none.
 */
export const rougeTokens: Tokenise = (text) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

/** Scripts that put no space between words: there one character is one token. */
const unspaced = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar'].map((s) => `\\p{sc=${s}}`).join('');
const words = new RegExp(`[${unspaced}]\\p{M}*|(?:(?![${unspaced}])[\\p{L}\\p{N}\\p{M}])+`, 'gu');

/**
 * Words of any language: runs of letters, digits and their marks, after NFKC (full-width forms are the same as plain ones)
 * and lower case; Chinese, Japanese, Thai and their like character by character. By regular expression and not by
 * `Intl.Segmenter`, whose dictionaries differ between versions of Node: a run must repeat.
 */
export const unicodeTokens: Tokenise = (text) => text.normalize('NFKC').toLowerCase().match(words) ?? [];

export type TokeniseName = 'rouge' | 'unicode';

export const tokenisers: Readonly<Record<TokeniseName, Tokenise>> = { rouge: rougeTokens, unicode: unicodeTokens };
