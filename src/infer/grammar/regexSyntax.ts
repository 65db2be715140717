// Reads a regular expression of ECMAScript (flag u) as far as it describes a regular language: no look-around, no
// back-references, no \b, no \p.
import { HuacayaError } from '../../base/index.ts';
import { complementRanges, mergeRanges, type Range } from './utf8.ts';

export type RegexNode =
  | { kind: 'set'; ranges: readonly Range[] }
  | { kind: 'sequence' | 'choice'; items: readonly RegexNode[] }
  | { kind: 'repeat'; item: RegexNode; min: number; max: number }
  | { kind: 'start' }
  | { kind: 'end' };

const deepestGroup = 100;

const digits: Range[] = [[0x30, 0x39]];
// biome-ignore format: a line is enough.
const wordChars: Range[] = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const spaces: Range[] = [
  ...[0x20, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff].map((c) => [c, c] as const),
  [0x09, 0x0d],
  [0x2000, 0x200a],
];
const lineEnds: Range[] = [0x0a, 0x0d, 0x2028, 0x2029].map((c) => [c, c] as const);
const classes: Record<string, Range[]> = {
  d: digits,
  w: wordChars,
  s: spaces,
  D: complementRanges(digits),
  W: complementRanges(wordChars),
  S: complementRanges(spaces),
};
const controls: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, '0': 0 };

/** @throws HuacayaError BAD_SCHEMA naming what is not understood, and where. */
export function parseRegex(pattern: string): RegexNode {
  const chars = [...pattern];
  let at = 0;
  let depth = 0;

  const fail = (what: string): never => {
    const place = `${what} at character ${at + 1} of the pattern ${JSON.stringify(pattern.slice(0, 200))}`;
    throw new HuacayaError('BAD_SCHEMA', place, {
      hint: 'Groups, classes, quantifiers, alternatives, ^ and $ are supported.',
      exitCode: 2,
    });
  };
  const take = (text: string): boolean => {
    const found = [...text].every((char, i) => chars[at + i] === char);
    if (found) at += text.length;
    return found;
  };

  function choice(): RegexNode {
    if (++depth > deepestGroup) fail(`groups deeper than ${deepestGroup}`);
    const items = [sequence()];
    while (take('|')) items.push(sequence());
    depth--;
    return items.length === 1 ? items[0]! : { kind: 'choice', items };
  }

  function sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') items.push(quantified());
    return items.length === 1 ? items[0]! : { kind: 'sequence', items };
  }

  function quantified(): RegexNode {
    const item = atom();
    const [min, max] = quantifier();
    if (min === 1 && max === 1) return item;
    if (item.kind === 'start' || item.kind === 'end') fail('a quantifier after an anchor');
    // Lazy or not, the language is the same.
    take('?');
    return { kind: 'repeat', item, min, max };
  }

  function quantifier(): [number, number] {
    if (take('*')) return [0, Number.POSITIVE_INFINITY];
    if (take('+')) return [1, Number.POSITIVE_INFINITY];
    if (take('?')) return [0, 1];
    if (chars[at] !== '{') return [1, 1];
    const braces = /^\{(\d+)(,?)(\d*)\}/.exec(chars.slice(at, at + 40).join(''));
    if (!braces) return fail('"{" that is no quantifier');
    at += braces[0].length;
    const min = Number(braces[1]);
    const max = braces[2] === '' ? min : braces[3] === '' ? Number.POSITIVE_INFINITY : Number(braces[3]);
    if (max < min) fail(`a quantifier from ${min} to ${max}`);
    return [min, max];
  }

  function atom(): RegexNode {
    const char = chars[at]!;
    if (take('^')) return { kind: 'start' };
    if (take('$')) return { kind: 'end' };
    if (take('.')) return { kind: 'set', ranges: complementRanges(lineEnds) };
    if (take('(')) {
      if (take('?') && !take(':')) {
        if (!/^<[\p{L}_$][\p{L}\p{N}_$]*>/u.test(chars.slice(at, at + 80).join(''))) fail(`"(?${chars[at] ?? ''}"`);
        at = chars.indexOf('>', at) + 1;
      }
      const inner = choice();
      if (!take(')')) fail('a group that is not closed');
      return inner;
    }
    if (take('[')) return { kind: 'set', ranges: charClass() };
    if (char === '\\') {
      const found = escaped(false);
      return { kind: 'set', ranges: typeof found === 'number' ? [[found, found]] : found };
    }
    if ('*+?{}])'.includes(char)) fail(`"${char}" that stands alone`);
    at++;
    const code = char.codePointAt(0)!;
    return { kind: 'set', ranges: [[code, code]] };
  }

  function charClass(): Range[] {
    const negated = take('^');
    const ranges: Range[] = [];
    while (!take(']')) {
      if (at >= chars.length) fail('a class that is not closed');
      const lo = classAtom();
      if (chars[at] !== '-' || chars[at + 1] === ']' || typeof lo !== 'number') {
        ranges.push(...(typeof lo === 'number' ? [[lo, lo] as const] : lo));
        continue;
      }
      at++;
      const hi = classAtom();
      if (typeof hi !== 'number') return fail('a range that ends in a class');
      if (hi < lo) fail('a range that runs backwards');
      ranges.push([lo, hi]);
    }
    return negated ? complementRanges(ranges) : mergeRanges(ranges);
  }

  function classAtom(): number | Range[] {
    if (at >= chars.length) return fail('a class that is not closed');
    return chars[at] === '\\' ? escaped(true) : chars[at++]!.codePointAt(0)!;
  }

  /** A backslash and what follows. */
  function escaped(inClass: boolean): number | Range[] {
    const char = chars[at + 1];
    if (char === undefined) return fail('a backslash at the end');
    const set = Object.hasOwn(classes, char) ? classes[char] : undefined;
    const control = Object.hasOwn(controls, char) ? controls[char] : undefined;
    const rest = chars.slice(at + 1, at + 12).join('');
    const hex = /^x([\da-fA-F]{2})|^u([\da-fA-F]{4})|^u\{([\da-fA-F]{1,6})\}/.exec(rest);
    if (set) at += 2;
    if (set) return set;
    if (control !== undefined && !/^0\d/.test(rest)) {
      at += 2;
      return control;
    }
    if (hex) {
      const code = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return fail(`"\\${hex[0]}"`);
      at += 1 + hex[0].length;
      return code;
    }
    if (/^[\^$\\.*+?()[\]{}|/]/.test(char) || (char === '-' && inClass)) {
      at += 2;
      return char.codePointAt(0)!;
    }
    if (inClass && char === 'b') {
      at += 2;
      return 8;
    }
    return fail(`"\\${char}"`);
  }

  const whole = choice();
  if (at < chars.length) fail(`"${chars[at]}" that stands alone`);
  return whole;
}
