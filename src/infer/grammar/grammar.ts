// A grammar over bytes as a graph of few kinds of nodes. Everything in it can be completed: parts that cannot are marked,
// and nesting is counted, so that whoever follows the grammar never comes to a dead end.
import { HuacayaError } from '../../base/index.ts';

export interface ByteEdge {
  readonly lo: number;
  readonly hi: number;
  readonly to: number;
}

interface Common {
  /** Of the grammar. */
  readonly index: number;
  /** Least nesting that a text of it needs; Infinity: there is none. Set by `settle`. */
  depth: number;
}
/** A nondeterministic automaton over bytes from node 0; a text may end where `ends` says so. */
export interface Lexeme extends Common {
  readonly kind: 'lexeme';
  readonly edges: readonly (readonly ByteEdge[])[];
  readonly ends: readonly boolean[];
}
export interface Sequence extends Common {
  readonly kind: 'sequence';
  readonly items: readonly Expr[];
}
export interface Choice extends Common {
  readonly kind: 'choice';
  readonly items: readonly Expr[];
}
/** The item itself must not be empty. */
export interface Repeat extends Common {
  readonly kind: 'repeat';
  readonly item: Expr;
  readonly min: number;
  /** Infinity for no bound. */
  readonly max: number;
}
/** Counts as one level of nesting. */
export interface Nest extends Common {
  readonly kind: 'nest';
  readonly item: Expr;
}
/** For recursion: the target is set later. */
export interface Reference extends Common {
  readonly kind: 'reference';
  target: Expr | undefined;
}
export type Expr = Lexeme | Sequence | Choice | Repeat | Nest | Reference;

/** A lexeme in the making. Node 0 is there from the start. */
export interface LexemeDraft {
  edges: ByteEdge[][];
  ends: boolean[];
}

/** Deepest nesting of arrays and objects. */
export const deepest = 64;
const mostExprs = 100_000;
const mostEdges = 200_000;

export const tooLarge = (what: string) =>
  new HuacayaError('BAD_SCHEMA', `${what}`, { hint: 'Use a smaller or simpler schema.', exitCode: 2 });

export class Grammar {
  readonly all: Expr[] = [];
  private edges = 0;
  private readonly literals = new Map<string, Lexeme>();

  /** Nodes from which no end can be reached are left out. */
  lexeme(draft: LexemeDraft): Lexeme {
    const { edges, ends } = trim(draft);
    for (const list of edges) this.edges += list.length;
    if (this.edges > mostEdges) throw tooLarge(`the grammar needs more than ${mostEdges} edges`);
    return this.add({ kind: 'lexeme', edges, ends, ...this.fresh() });
  }

  /** Exactly this text. */
  literal(text: string): Lexeme {
    let made = this.literals.get(text);
    if (!made) {
      made = this.oneOf([text]);
      this.literals.set(text, made);
    }
    return made;
  }

  /** One of these texts. */
  oneOf(texts: Iterable<string>): Lexeme {
    const draft: LexemeDraft = { edges: [[]], ends: [false] };
    for (const text of texts) {
      let at = 0;
      for (const byte of utf8.encode(text)) {
        let to = draft.edges[at]!.find((edge) => edge.lo === byte)?.to;
        if (to === undefined) {
          to = draft.edges.push([]) - 1;
          draft.ends.push(false);
          draft.edges[at]!.push({ lo: byte, hi: byte, to });
        }
        at = to;
      }
      draft.ends[at] = true;
    }
    return this.lexeme(draft);
  }

  sequence(...items: Expr[]): Expr {
    return items.length === 1 ? items[0]! : this.add({ kind: 'sequence', items, ...this.fresh() });
  }

  choice(...items: Expr[]): Expr {
    return items.length === 1 ? items[0]! : this.add({ kind: 'choice', items, ...this.fresh() });
  }

  /** Nothing at all matches. */
  never(): Expr {
    return this.add({ kind: 'choice', items: [], ...this.fresh() });
  }

  repeat(item: Expr, min: number, max: number): Expr {
    return this.add({ kind: 'repeat', item, min, max, ...this.fresh() });
  }

  nest(item: Expr): Expr {
    return this.add({ kind: 'nest', item, ...this.fresh() });
  }

  reference(): Reference {
    return this.add({ kind: 'reference', target: undefined, ...this.fresh() });
  }

  /** Finds the least nesting of every part; to be called once, when the grammar is whole. */
  settle(): void {
    const users = new Map<Expr, Expr[]>(this.all.map((expr) => [expr, []]));
    for (const expr of this.all) for (const part of partsOf(expr)) users.get(part)!.push(expr);
    const waiting = [...this.all];
    for (let expr = waiting.pop(); expr; expr = waiting.pop()) {
      const depth = leastDepth(expr);
      if (depth >= expr.depth) continue;
      expr.depth = depth;
      waiting.push(...users.get(expr)!);
    }
  }

  private fresh() {
    return { index: this.all.length, depth: Number.POSITIVE_INFINITY };
  }

  private add<T extends Expr>(expr: T): T {
    if (this.all.length >= mostExprs) throw tooLarge(`the grammar needs more than ${mostExprs} parts`);
    this.all.push(expr);
    return expr;
  }
}

const utf8 = new TextEncoder();

function partsOf(expr: Expr): readonly Expr[] {
  if (expr.kind === 'sequence' || expr.kind === 'choice') return expr.items;
  if (expr.kind === 'repeat' || expr.kind === 'nest') return [expr.item];
  return expr.kind === 'reference' && expr.target ? [expr.target] : [];
}

function leastDepth(expr: Expr): number {
  switch (expr.kind) {
    case 'lexeme':
      return expr.ends.some(Boolean) ? 0 : Number.POSITIVE_INFINITY;
    case 'sequence':
      return expr.items.reduce((most, item) => Math.max(most, item.depth), 0);
    case 'choice':
      return expr.items.reduce((least, item) => Math.min(least, item.depth), Number.POSITIVE_INFINITY);
    case 'repeat':
      return expr.min === 0 ? 0 : expr.item.depth;
    case 'nest':
      return expr.item.depth + 1;
    case 'reference':
      return expr.target?.depth ?? Number.POSITIVE_INFINITY;
  }
}

/** Keeps what lies on a way from node 0 to an end. */
function trim({ edges, ends }: LexemeDraft): { edges: ByteEdge[][]; ends: boolean[] } {
  const into: number[][] = edges.map(() => []);
  for (const [from, list] of edges.entries()) for (const { to } of list) into[to]!.push(from);
  const useful = reach(
    ends.flatMap((end, node) => (end ? [node] : [])),
    (node) => into[node]!,
  );
  const kept = [...reach([0], (node) => edges[node]!.flatMap(({ to }) => (useful.has(to) ? [to] : [])))];
  const names = new Map(kept.map((node, i) => [node, i]));
  return {
    edges: kept.map((node) =>
      edges[node]!.flatMap(({ lo, hi, to }) => (useful.has(to) ? [{ lo, hi, to: names.get(to)! }] : [])),
    ),
    ends: kept.map((node) => ends[node]!),
  };
}

function reach(from: readonly number[], next: (node: number) => readonly number[]): Set<number> {
  const found = new Set(from);
  // A set's iterator also visits what is added on the way.
  for (const node of found) for (const to of next(node)) found.add(to);
  return found;
}
