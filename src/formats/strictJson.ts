// JSON.parse keeps the last of two equal keys without a word. In a header that decides where weights lie, two readers
// could then see two different files, so equal keys are refused here; and so is nesting that would exhaust a stack.
import type { HuacayaError } from '../base/index.ts';
import { quote } from './quote.ts';

/** As deep as serde_json goes; the files read here need three levels. */
const maxDepth = 128;

/** Parses JSON text, refusing equal keys in one object and deep nesting. `fail` makes the error from the reason. */
export function parseStrictJson(text: string, fail: (why: string) => HuacayaError): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fail(`is not JSON (${(cause as Error).message})`);
  }
  checkKeysAndDepth(text, fail);
  return value;
}

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One pass over text that is known to be valid JSON; keys are compared unescaped. */
function checkKeysAndDepth(text: string, fail: (why: string) => HuacayaError): void {
  /** Keys seen so far in each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let keyNext = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x7b: // {
        open.push(new Set());
        keyNext = true;
        break;
      case 0x5b: // [
        open.push(undefined);
        keyNext = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        keyNext = false;
        break;
      case 0x2c: // ,
        keyNext = open[open.length - 1] !== undefined;
        break;
      case 0x22: {
        const start = i++;
        while (text.charCodeAt(i) !== 0x22) i += text.charCodeAt(i) === 0x5c ? 2 : 1;
        if (!keyNext) break;
        keyNext = false;
        const raw = text.slice(start, i + 1);
        const key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
        const keys = open[open.length - 1]!;
        if (keys.has(key)) throw fail(`has the key ${quote(key)} twice`);
        keys.add(key);
      }
    }
    if (open.length > maxDepth) throw fail(`is nested deeper than ${maxDepth} levels`);
  }
}
