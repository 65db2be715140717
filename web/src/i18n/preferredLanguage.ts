// Which of its languages the page starts in.
export type Language = 'en' | 'zh-CN';

/** The first of the browser's languages that the page speaks, else English. */
export function preferredLanguage(asked: readonly string[]): Language {
  for (const tag of asked) {
    if (/^zh\b/i.test(tag)) return 'zh-CN';
    if (/^en\b/i.test(tag)) return 'en';
  }
  return 'en';
}
