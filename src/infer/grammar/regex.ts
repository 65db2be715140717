// Regular expression -> automaton over code points: Thompson's construction, then its empty edges are taken out.
import { type CodePointEdge, type CodePoints, mostEdges, mostNodes } from './codePoints.ts';
import { tooLarge } from './grammar.ts';
import { parseRegex, type RegexNode } from './regexSyntax.ts';
import { allScalars, type Range } from './utf8.ts';

interface Node {
  empty: number[];
  /** Empty edges that hold only at the start, or only at the end of the text. */
  atStart: number[];
  atEnd: number[];
  ranges: readonly Range[];
  to: number;
}

/** Bounds the work on patterns such as ((){9999}){9999}, which need no nodes. */
const mostSteps = 3_000_000;

/**
 * Texts in which the pattern is found; with `whole`, texts that are the pattern from start to end.
 * @throws HuacayaError BAD_SCHEMA for a pattern that is not understood or too large.
 */
export function regexCodePoints(pattern: string, whole = false): CodePoints {
  const nodes: Node[] = [];
  const spend = budget(pattern);
  const node = (): number => {
    if (nodes.length >= mostNodes) {
      throw tooLarge(`the pattern ${JSON.stringify(pattern.slice(0, 200))} needs more than ${mostNodes} nodes`);
    }
    return nodes.push({ empty: [], atStart: [], atEnd: [], ranges: [], to: -1 }) - 1;
  };
  /** Lets `from` lead on by a character. @returns where to. */
  const consume = (from: number, ranges: readonly Range[]): number => {
    const [a, b] = [node(), node()];
    nodes[from]!.empty.push(a);
    nodes[a]!.ranges = ranges;
    nodes[a]!.to = b;
    return b;
  };
  const add = (part: RegexNode, from: number): number => {
    spend();
    switch (part.kind) {
      case 'set':
        return consume(from, part.ranges);
      case 'start':
      case 'end': {
        const to = node();
        nodes[from]![part.kind === 'start' ? 'atStart' : 'atEnd'].push(to);
        return to;
      }
      case 'sequence':
        return part.items.reduce((at, item) => add(item, at), from);
      case 'choice': {
        const to = node();
        for (const item of part.items) nodes[add(item, from)]!.empty.push(to);
        return to;
      }
      case 'repeat': {
        let at = from;
        for (let i = 0; i < part.min; i++) at = add(part.item, at);
        const to = node();
        if (part.max === Number.POSITIVE_INFINITY) {
          const loop = node();
          nodes[at]!.empty.push(loop);
          nodes[add(part.item, loop)]!.empty.push(loop);
          nodes[loop]!.empty.push(to);
          return to;
        }
        for (let i = part.min; i < part.max; i++) {
          nodes[at]!.empty.push(to);
          at = add(part.item, at);
        }
        nodes[at]!.empty.push(to);
        return to;
      }
    }
  };
  const start = node();
  const anything = (from: number): number => {
    const loop = node();
    nodes[from]!.empty.push(loop);
    nodes[consume(loop, allScalars)]!.empty.push(loop);
    return loop;
  };
  const found = add(parseRegex(pattern), whole ? start : anything(start));
  return withoutEmpty(nodes, start, whole ? found : anything(found), spend);
}

function budget(pattern: string): () => void {
  let steps = 0;
  return () => {
    if (++steps > mostSteps) throw tooLarge(`the pattern ${JSON.stringify(pattern.slice(0, 200))} is too complicated`);
  };
}

function withoutEmpty(nodes: readonly Node[], start: number, end: number, spend: () => void): CodePoints {
  const closure = (from: number, atStart: boolean, atEnd: boolean): Set<number> => {
    const found = new Set([from]);
    for (const n of found) {
      spend();
      for (const to of nodes[n]!.empty) found.add(to);
      if (atStart) for (const to of nodes[n]!.atStart) found.add(to);
      if (atEnd) for (const to of nodes[n]!.atEnd) found.add(to);
    }
    return found;
  };
  // The first node is the start before anything was read; the others are where a character led.
  const names = new Map<number, number>();
  const origins = [start];
  const automaton: CodePoints = { edges: [], ends: [] };
  let count = 0;
  for (const [i, origin] of origins.entries()) {
    const list: CodePointEdge[] = [];
    for (const n of closure(origin, i === 0, false)) {
      const { ranges, to } = nodes[n]!;
      if (to < 0) continue;
      let name = names.get(to);
      if (name === undefined) {
        name = origins.push(to) - 1;
        names.set(to, name);
      }
      for (const [lo, hi] of ranges) list.push({ lo, hi, to: name });
    }
    count += list.length;
    if (count > mostEdges) throw tooLarge(`a pattern needs more than ${mostEdges} edges`);
    automaton.edges.push(list);
    automaton.ends.push(closure(origin, i === 0, true).has(end));
  }
  return automaton;
}
