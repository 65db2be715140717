// Names that come from a file, made fit for an error message.

/** Quoted, control characters escaped, cut after 100 characters. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name);
}

/** Whether UTF-8 can carry the text: with the u flag the expression matches only surrogates that stand alone. */
export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/u.test(text);
}
