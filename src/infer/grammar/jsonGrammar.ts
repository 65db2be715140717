// The parts of JSON texts (RFC 8259) as grammar. White space is allowed where people put it, and never without end.
import { anyOfLength, type CodePoints, intersect, plainTextBut, spell } from './codePoints.ts';
import type { Expr, Grammar, LexemeDraft } from './grammar.ts';
import { boundedNumber, integerPattern, type NumberBounds, numberPattern } from './numbers.ts';
import { regexCodePoints } from './regex.ts';
import { lastCodePoint } from './utf8.ts';

/** A property and whether it may be missing. */
export interface Property {
  name: string;
  value: Expr;
  required: boolean;
}

export class JsonGrammar {
  readonly grammar: Grammar;
  /** One character of a string. */
  readonly char: Expr;
  private readonly quote: Expr;
  /** Between parts: nothing, a space, or a line break and the next line's indentation. */
  private readonly gap: Expr;
  private readonly colon: Expr;
  private readonly comma: Expr;
  private anything: Expr | undefined;
  private readonly regexes = new Map<string, Expr>();

  constructor(grammar: Grammar) {
    this.grammar = grammar;
    this.char = grammar.lexeme(stringChar());
    this.quote = grammar.literal('"');
    this.gap = this.regex(' ?|\\n[ \\t]{0,32}');
    this.colon = this.regex(': ?');
    this.comma = grammar.sequence(grammar.literal(','), this.gap);
  }

  /** A whole text: tokenizers may put a space in front of its first token. */
  whole(value: Expr): Expr {
    return this.grammar.sequence(this.regex(' ?'), value);
  }

  value(value: unknown): Expr {
    return this.grammar.literal(JSON.stringify(value));
  }

  values(values: readonly unknown[]): Expr {
    return this.grammar.oneOf(values.map((value) => JSON.stringify(value)));
  }

  string(min = 0, max = Number.POSITIVE_INFINITY): Expr {
    return this.grammar.sequence(this.quote, this.grammar.repeat(this.char, min, max), this.quote);
  }

  /** A string within all of these. */
  stringOf(min: number, max: number, languages: readonly CodePoints[]): Expr {
    if (languages.length === 0) return this.string(min, max);
    const bounds = min > 0 || max < Number.POSITIVE_INFINITY ? [anyOfLength(min, max)] : [];
    const language = [...languages, ...bounds].reduce(intersect);
    return this.grammar.sequence(this.quote, this.grammar.lexeme(spell(language, true)), this.quote);
  }

  number(bounds: NumberBounds, integer: boolean): Expr {
    const bounded = Object.values(bounds).some((bound) => bound !== undefined);
    if (bounded) return this.grammar.lexeme(boundedNumber(bounds, integer));
    return this.regex(integer ? integerPattern : numberPattern);
  }

  /** Any JSON value. */
  any(): Expr {
    if (!this.anything) {
      const { grammar: g } = this;
      const self = g.reference();
      this.anything = self;
      const scalars = [this.values([null, true, false]), this.number({}, false), this.string()];
      self.target = g.choice(...scalars, this.object([], self), this.array([], self, 0, Number.POSITIVE_INFINITY));
    }
    return this.anything;
  }

  /**
   * Listed properties in their order, then others.
   * @param others value of properties that are not listed; undefined: there are none.
   * @param key of those, if it may not be any string.
   */
  object(properties: readonly Property[], others: Expr | undefined, key?: Expr): Expr {
    const { grammar: g } = this;
    const entry = (name: Expr, value: Expr) => g.sequence(name, this.colon, value);
    const close = g.sequence(this.gap, g.literal('}'));
    let other: Expr | undefined;
    if (others) {
      const names = properties.map((p) => p.name);
      const otherKey = key ?? (names.length === 0 ? this.string() : this.stringBut(names));
      other = entry(otherKey, others);
    }
    const more = other && g.repeat(g.sequence(this.comma, other), 0, Number.POSITIVE_INFINITY);
    // From the last property to the first. `rest`: what follows when something was written before; `entries`: what may
    // be written next.
    let rest = more ? g.sequence(more, close) : close;
    let entries: Expr[] = other ? [g.sequence(other, rest)] : [];
    let mayClose = true;
    for (const { name, value, required } of [...properties].reverse()) {
      entries = [g.sequence(entry(this.value(name), value), rest), ...(required ? [] : entries)];
      mayClose &&= !required;
      const next = g.sequence(this.comma, g.choice(...entries));
      rest = mayClose ? g.choice(next, close) : next;
    }
    const empty = properties.some((p) => p.required) ? [] : [g.literal('}')];
    return g.nest(g.sequence(g.literal('{'), g.choice(...empty, g.sequence(this.gap, g.choice(...entries)))));
  }

  /** @param prefix of the first items. @param item of those behind them; undefined: there are none. */
  array(prefix: readonly Expr[], item: Expr | undefined, min: number, max: number): Expr {
    const { grammar: g } = this;
    const close = g.sequence(this.gap, g.literal(']'));
    const listed = prefix.slice(0, max);
    let behind = Math.max(listed.length, item && listed.length === 0 ? 1 : 0);
    const others = item
      ? g.repeat(g.sequence(this.comma, item), Math.max(0, min - behind), Math.max(0, max - behind))
      : undefined;
    let rest: Expr = others ? g.sequence(others, close) : min > behind ? g.never() : close;
    // `behind`: how many items stand before `rest`.
    for (; behind > 1; behind--) {
      const next = g.sequence(this.comma, listed[behind - 1]!, rest);
      rest = behind - 1 >= min ? g.choice(close, next) : next;
    }
    const start = listed[0] ?? (max > 0 ? item : undefined);
    const empty = min === 0 ? [g.literal(']')] : [];
    const filled = start ? [g.sequence(this.gap, start, rest)] : [];
    return g.nest(g.sequence(g.literal('['), g.choice(...empty, ...filled)));
  }

  private regex(pattern: string): Expr {
    let made = this.regexes.get(pattern);
    if (!made) {
      made = this.grammar.lexeme(spell(regexCodePoints(pattern, true), false));
      this.regexes.set(pattern, made);
    }
    return made;
  }

  private stringBut(names: readonly string[]): Expr {
    return this.grammar.sequence(this.quote, this.grammar.lexeme(spell(plainTextBut(names), true)), this.quote);
  }
}

/** As it is, or behind a backslash; halves of a surrogate pair only together. */
function stringChar(): LexemeDraft {
  const end = 1;
  const draft = spell({ edges: [[{ lo: 0x20, hi: lastCodePoint, to: end }], []], ends: [false, true] }, false);
  draft.edges[0] = draft.edges[0]!.flatMap((edge) =>
    edge.lo === 0x20
      ? [
          { ...edge, hi: 0x21 },
          { ...edge, lo: 0x23, hi: 0x5b },
          { ...edge, lo: 0x5d },
        ]
      : [edge],
  );
  const node = () => draft.edges.push([]) - 1;
  const on = (from: number, chars: string, to: number) => {
    for (const char of chars) {
      const byte = char.charCodeAt(0);
      draft.edges[from]!.push({ lo: byte, hi: byte, to });
    }
  };
  const hex = '0123456789abcdefABCDEF';
  /** @returns the node from which `count` hexadecimal digits lead to `to`. */
  const digits = (count: number, to: number): number => {
    if (count === 0) return to;
    const from = node();
    on(from, hex, digits(count - 1, to));
    return from;
  };
  const [slash, unicode, d, dLow, low] = [node(), node(), node(), node(), node()];
  on(0, '\\', slash);
  on(slash, '"\\/bfnrt', end);
  on(slash, 'u', unicode);
  on(unicode, hex.replace(/[dD]/g, ''), digits(3, end));
  on(unicode, 'dD', d);
  on(d, '01234567', digits(2, end));
  const backslash = node();
  on(d, '89abAB', digits(2, backslash));
  on(backslash, '\\', dLow);
  on(dLow, 'u', low);
  const lowD = node();
  on(low, 'dD', lowD);
  on(lowD, 'cdefCDEF', digits(2, end));
  draft.ends = draft.edges.map((_, i) => i === end);
  return draft;
}
