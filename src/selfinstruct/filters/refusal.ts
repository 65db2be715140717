// Answers that are none: the teacher says that it will not, or asks for what it was not given.

/**
 * True for an answer that begins with one of the phrases.
 * @param phrases in lower case, with straight apostrophes.
 */
export function isRefusal(answer: string, phrases: readonly string[]): boolean {
  const start = answer.trimStart().slice(0, 200).toLowerCase().replaceAll('’', "'");
  return phrases.some((phrase) => start.startsWith(phrase));
}
