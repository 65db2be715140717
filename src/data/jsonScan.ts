// Walks over one JSON value without building it (RFC 8259), so that an element of a list has a place in the file
// and a syntax error has a line and names what was expected. JSON.parse gives neither, and words it by engine.

/** Rows are flat; deeper nesting than this is damage or an attack on the stack. */
const MAX_DEPTH = 200;

/** A syntax error at an offset into the scanned text. */
export class JsonProblem extends Error {
  readonly offset: number;
  readonly expected: string;

  constructor(offset: number, expected: string) {
    super(`expected ${expected} at offset ${offset}`);
    this.name = 'JsonProblem';
    this.offset = offset;
    this.expected = expected;
  }
}

/** Offset of the first character at or after `at` that is not JSON white space. */
export function skipSpace(text: string, at: number): number {
  for (;;) {
    const c = text.charCodeAt(at);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at;
    at++;
  }
}

const literal = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;
const hex4 = /[0-9a-fA-F]{4}/y;

function scanString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === 0x22) return at + 1;
    if (c < 0x20) throw new JsonProblem(at, 'the closing " of a string (a line break inside a string is written \\n)');
    if (c !== 0x5c) continue;
    at++;
    if (text[at] === 'u') {
      hex4.lastIndex = at + 1;
      if (!hex4.test(text)) throw new JsonProblem(at + 1, 'four hexadecimal digits after \\u');
      at += 4;
    } else if (at < text.length && !'"\\/bfnrt'.includes(text[at]!)) {
      throw new JsonProblem(at, 'one of " \\ / b f n r t u after a backslash (a backslash itself is written \\\\)');
    }
  }
  throw new JsonProblem(text.length, 'the closing " of a string');
}

/**
 * Offset just after the JSON value that starts at `start` (no white space before it).
 * @throws JsonProblem at the first character that is not JSON.
 */
export function scanValue(text: string, start: number, depth = 0): number {
  const first = text[start];
  if (first === '"') return scanString(text, start);
  if (first === '{' || first === '[') return scanNested(text, start, depth + 1);
  literal.lastIndex = start;
  if (!literal.test(text)) throw new JsonProblem(start, 'a JSON value');
  return literal.lastIndex;
}

function scanNested(text: string, start: number, depth: number): number {
  if (depth > MAX_DEPTH) throw new JsonProblem(start, `at most ${MAX_DEPTH} levels of nesting`);
  const isObject = text[start] === '{';
  const close = isObject ? '}' : ']';
  let at = skipSpace(text, start + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    if (isObject) {
      if (text[at] !== '"') throw new JsonProblem(at, 'a key in double quotes');
      at = skipSpace(text, scanString(text, at));
      if (text[at] !== ':') throw new JsonProblem(at, '":" after a key');
      at = skipSpace(text, at + 1);
    }
    at = skipSpace(text, scanValue(text, at, depth));
    if (text[at] === close) return at + 1;
    if (text[at] !== ',') throw new JsonProblem(at, `"," or "${close}"`);
    at = skipSpace(text, at + 1);
  }
}
