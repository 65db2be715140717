// Words as Python counts them, and as a script without spaces does.

/** len(text.split()) in Python; with `characters` every ideograph or kana is a word of its own. */
export function countWords(text: string, how: 'spaces' | 'characters'): number {
  const spaced =
    how === 'characters' ? text.replace(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu, ' $& ') : text;
  // Marks alone are words in Python's eyes, but not beside ideographs.
  const words = spaced.split(/\s+/).filter((word) => word !== '');
  return how === 'characters' ? words.filter((word) => /[\p{L}\p{N}]/u.test(word)).length : words.length;
}

/**
 * Finds any of the words or phrases, whatever their capitals. Words of letters match whole, as with \b on both sides;
 * in scripts without spaces they match anywhere.
 */
export function wordFinder(words: readonly string[]): (text: string) => string | undefined {
  if (words.length === 0) return () => undefined;
  const patterns = words.map((word) => {
    const text = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(word)) return text;
    return `(?<![\\p{L}\\p{N}_])${text}(?![\\p{L}\\p{N}_])`;
  });
  const any = new RegExp(patterns.join('|'), 'iu');
  return (text) => any.exec(text)?.[0];
}
