// Items of a structured answer, {"tasks": [...]}: also from one that was cut off, or that stands in a code fence.
import { beginning, type Parsed } from './parsed.ts';

/** End (exclusive) of the JSON value that starts at `from` with a brace, bracket or quote; undefined if it is cut off. */
function valueEnd(text: string, from: number): number | undefined {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
      if (i >= text.length) return undefined;
    } else if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') depth--;
    if (depth === 0) return i + 1;
  }
  return undefined;
}

/** Looks like a structured answer: an object or list, with or without a fence around it. */
export const looksStructured = (text: string): boolean => /^\s*(?:```(?:json)?\s*)?[{[]/.test(text);

/**
 * The complete items of the first list in the text.
 * @param read makes an item of a parsed value; undefined where it is not one.
 */
export function parseJsonItems<T>(text: string, read: (value: unknown) => T | undefined): Parsed<T> {
  const parsed: Parsed<T> = { items: [], rejected: [] };
  const open = text.indexOf('[');
  if (open < 0) {
    if (text.trim() !== '') parsed.rejected.push({ reason: 'unreadable', text: beginning(text) });
    return parsed;
  }
  for (let at = open + 1; ; ) {
    at += /^[\s,]*/.exec(text.slice(at, at + 4096))![0].length;
    if (text[at] === ']') break;
    const end = text[at] === undefined ? undefined : valueEnd(text, at);
    if (end === undefined || !/[{["]/.test(text[at]!)) {
      parsed.rejected.push({ reason: end === undefined ? 'truncated' : 'unreadable', text: beginning(text.slice(at)) });
      break;
    }
    let item: T | undefined;
    try {
      item = read(JSON.parse(text.slice(at, end)));
    } catch {
      // Not JSON: said below, as any other item of the wrong shape.
    }
    if (item === undefined) parsed.rejected.push({ reason: 'unreadable', text: beginning(text.slice(at, end)) });
    else parsed.items.push(item);
    at = end;
  }
  return parsed;
}
