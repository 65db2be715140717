// Finds the texts near to one without looking at most of the others: an inverted index, read from the rarest token up.
//
// The bounds: an LCS is at most the number of tokens that two texts share. When all texts that hold one of the rarest tokens
// have been seen, any other shares at most the `rest` tokens that are left, so its score is at most that of `rest`. The walk
// ends where that no longer suffices, which is before the frequent tokens, whose lists are long. (Prefix filtering: Chaudhuri
// et al. 2006; Bayardo et al. 2007.)
import { BitPattern } from './bitPattern.ts';
import { withRoom } from './ints.ts';
import { LengthStore } from './lengthStore.ts';
import { NearestList } from './nearestList.ts';
import { leastLcs, rougeF } from './rougeScore.ts';

export interface Found {
  ids: number[];
  scores: number[];
}

/** The least LCS that gets over a score, by the length of the other text. */
class Bar {
  readonly score: number;
  readonly reach: boolean;
  private readonly m: number;
  private readonly known: number[] = [];

  constructor(m: number, score: number, reach: boolean) {
    this.m = m;
    this.score = score;
    this.reach = reach;
  }

  least(n: number): number {
    this.known[n] ??= leastLcs(this.m, n, this.score, this.reach);
    return this.known[n];
  }
}

export class RougeIndex {
  readonly store = new LengthStore();
  readonly pattern = new BitPattern();
  private readonly vocabulary = new Map<string, number>();
  /** By token id: the texts that hold it, ascending. */
  private readonly lists: number[][] = [];
  /** By text: its length, its place in the group of that length, and the last walk that met it. */
  private lengths = new Int32Array(0);
  private places = new Int32Array(0);
  private met = new Int32Array(0);
  private walk = 0;
  /** Bars by length of text, kept while the floor stays the same. */
  private readonly bars = new Map<number, Bar>();

  get size(): number {
    return this.store.size;
  }

  /** Ids of tokens; -1 for those that no text has. */
  look(tokens: readonly string[]): Int32Array {
    return Int32Array.from(tokens, (token) => this.vocabulary.get(token) ?? -1);
  }

  /** @returns the ids of the tokens. The text's own id is the number of texts before it. */
  add(tokens: readonly string[]): Int32Array {
    const id = this.store.size;
    const tokenIds = Int32Array.from(tokens, (token) => this.intern(token));
    for (const token of tokenIds) {
      const list = this.lists[token]!;
      if (list[list.length - 1] !== id) list.push(id);
    }
    const place = this.store.add(id, tokenIds);
    this.lengths = withRoom(this.lengths, id + 1);
    this.places = withRoom(this.places, id + 1);
    this.met = withRoom(this.met, id + 1);
    this.lengths[id] = tokens.length;
    this.places[id] = place;
    return tokenIds;
  }

  private intern(token: string): number {
    let id = this.vocabulary.get(token);
    if (id === undefined) {
      id = this.lists.length;
      this.vocabulary.set(token, id);
      this.lists.push([]);
    }
    return id;
  }

  /**
   * The nearest texts that score above `floor` (with `reach`: at least `floor`), at most `most`, best first; exact.
   * @param tokens as `look` gives them.
   */
  nearest(tokens: Int32Array, most: number, floor = 0, reach = false): Found {
    const best = new NearestList(most);
    const { lists, lengths, places, met, pattern, store } = this;
    const m = tokens.length;
    pattern.set(tokens, lists.length);
    const walk = ++this.walk;
    let bar = this.firstBar(m, floor, reach);
    const order = this.rarestFirst(tokens);
    let rest = order.reduce((sum, { times }) => sum + times, 0);
    for (const { token, times } of order) {
      // At best a text consists of exactly what is left.
      if (bar.least(rest) > rest) break;
      for (const id of lists[token]!) {
        if (met[id] === walk) continue;
        met[id] = walk;
        const n = lengths[id]!;
        const least = bar.least(n);
        if (least > rest || least > n) continue;
        const lcs = pattern.lcs(store.groups[n]!.tokens, places[id]! * n, n);
        if (lcs < least) continue;
        best.offer(rougeF(lcs, m, n), id);
        if (best.bar > bar.score) bar = new Bar(m, best.bar, true);
      }
      rest -= times;
    }
    return { ids: best.ids, scores: best.scores };
  }

  private firstBar(m: number, floor: number, reach: boolean): Bar {
    let bar = this.bars.get(m);
    if (bar?.score !== floor || bar.reach !== reach) {
      bar = new Bar(m, floor, reach);
      this.bars.set(m, bar);
    }
    return bar;
  }

  /** The tokens that occur anywhere, the rarest first, and how often the text has each. Others only make it longer. */
  private rarestFirst(tokens: Int32Array): { token: number; times: number }[] {
    const times = new Map<number, number>();
    for (const token of tokens) if (token >= 0) times.set(token, (times.get(token) ?? 0) + 1);
    const { lists } = this;
    return [...times]
      .map(([token, count]) => ({ token, times: count }))
      .sort((a, b) => lists[a.token]!.length - lists[b.token]!.length || a.token - b.token);
  }
}
