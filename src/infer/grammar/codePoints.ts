// Nondeterministic automata over code points (what a pattern means), and their spelling in bytes.
import { type ByteEdge, type LexemeDraft, tooLarge } from './grammar.ts';
import { allScalars, complementRanges, type Range, utf8Sequences } from './utf8.ts';

export interface CodePointEdge {
  readonly lo: number;
  readonly hi: number;
  readonly to: number;
}

/** From node 0; no empty edges. */
export interface CodePoints {
  readonly edges: CodePointEdge[][];
  readonly ends: boolean[];
}

export const mostNodes = 20_000;
export const mostEdges = 40_000;

/** Any text of min to max code points. */
export function anyOfLength(min: number, max: number): CodePoints {
  const last = Number.isFinite(max) ? max : min;
  if (last > mostNodes) throw tooLarge(`a length of ${last} beside a pattern or format; the limit is ${mostNodes}`);
  const step = (to: number) => allScalars.map(([lo, hi]) => ({ lo, hi, to }));
  const edges = Array.from({ length: last + 1 }, (_, n) => (n < last ? step(n + 1) : []));
  if (max === Number.POSITIVE_INFINITY) edges[last] = step(last);
  return { edges, ends: edges.map((_, n) => n >= min) };
}

/** Any text but these, without the characters that JSON escapes. */
export function plainTextBut(texts: Iterable<string>): CodePoints {
  // Node 1: no longer the beginning of any of them.
  const children: Map<number, number>[] = [new Map(), new Map()];
  const ends = [true, true];
  for (const text of texts) {
    let at = 0;
    for (const char of text) {
      const code = char.codePointAt(0)!;
      let to = children[at]!.get(code);
      if (to === undefined) {
        to = children.push(new Map()) - 1;
        ends.push(true);
        children[at]!.set(code, to);
      }
      at = to;
    }
    ends[at] = false;
  }
  const edges = children.map((known) => {
    const taken = [...known].map(([code]) => [code, code] as const);
    const others = complementRanges([...escaped, ...taken]).map(([lo, hi]) => ({ lo, hi, to: 1 }));
    return [...[...known].map(([code, to]) => ({ lo: code, hi: code, to })), ...others];
  });
  return { edges, ends };
}

/** Texts of both. */
export function intersect(a: CodePoints, b: CodePoints): CodePoints {
  const names = new Map<number, number>([[0, 0]]);
  const pairs: [number, number][] = [[0, 0]];
  const both: CodePoints = { edges: [], ends: [] };
  let count = 0;
  for (const [p, q] of pairs) {
    const list: CodePointEdge[] = [];
    for (const left of a.edges[p]!) {
      for (const right of b.edges[q]!) {
        const lo = Math.max(left.lo, right.lo);
        const hi = Math.min(left.hi, right.hi);
        if (lo > hi) continue;
        const key = left.to * b.edges.length + right.to;
        let to = names.get(key);
        if (to === undefined) {
          to = pairs.push([left.to, right.to]) - 1;
          names.set(key, to);
        }
        list.push({ lo, hi, to });
      }
    }
    count += list.length;
    if (pairs.length > mostNodes || count > mostEdges) {
      throw tooLarge('a pattern, format and length together are too complicated');
    }
    both.edges.push(list);
    both.ends.push(a.ends[p]! && b.ends[q]!);
  }
  return both;
}

/** Characters that a JSON string spells with a backslash. */
const escaped: readonly Range[] = [
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
];
const unescaped = complementRanges(escaped);
const shortEscapes = new Map(
  [...'"\\\b\f\n\r\t'].map((char) => [char.codePointAt(0)!, JSON.stringify(char).slice(1, -1)]),
);
const escapeOf = (code: number) => shortEscapes.get(code) ?? `\\u${code.toString(16).padStart(4, '0')}`;

/** @param json spelled as inside of a JSON string, in the shortest way; else as it is. */
export function spell(nfa: CodePoints, json: boolean): LexemeDraft {
  const draft: LexemeDraft = { edges: nfa.edges.map(() => []), ends: [...nfa.ends] };
  const shared = new Map<string, number>();
  /** A node from which exactly these bytes lead to `to`. */
  const before = (bytes: readonly Range[], to: number): number => {
    if (bytes.length === 0) return to;
    const key = `${to}:${bytes.join(';')}`;
    let node = shared.get(key);
    if (node === undefined) {
      node = draft.edges.push([]) - 1;
      draft.ends.push(false);
      shared.set(key, node);
      draft.edges[node]!.push(edge(bytes, to));
    }
    return node;
  };
  const edge = ([first, ...rest]: readonly Range[], to: number): ByteEdge => ({
    lo: first![0],
    hi: first![1],
    to: before(rest, to),
  });
  const known = new Map<string, Range[][]>();
  for (const [from, list] of nfa.edges.entries()) {
    for (const { lo, hi, to } of list) {
      const key = `${lo} ${hi}`;
      const spellings = known.get(key) ?? spellingsOf(lo, hi, json);
      known.set(key, spellings);
      for (const bytes of spellings) draft.edges[from]!.push(edge(bytes, to));
    }
  }
  return draft;
}

function spellingsOf(lo: number, hi: number, json: boolean): Range[][] {
  if (!json) return utf8Sequences([lo, hi]);
  const spellings: Range[][] = [];
  for (const [a, b] of unescaped) {
    if (Math.max(a, lo) <= Math.min(b, hi)) spellings.push(...utf8Sequences([Math.max(a, lo), Math.min(b, hi)]));
  }
  // Those without a short escape are left out where they are a few of many: they would be most of the automaton.
  const rare = hi - lo >= 8;
  for (const [a, b] of escaped) {
    for (let code = Math.max(lo, a); code <= Math.min(hi, b); code++) {
      if (rare && !shortEscapes.has(code)) continue;
      spellings.push([...escapeOf(code)].map((char) => [char.charCodeAt(0), char.charCodeAt(0)] as const));
    }
  }
  return spellings;
}
