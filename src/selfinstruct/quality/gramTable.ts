// Runs of n tokens of a set of texts, to be found again in others.

/** Ids stand for tokens; -1 is a token that no text has. */
const base = 0x0100_0193;

/** Polynomial hashes of all runs of n: position and hash, one after the other, without runs that hold a -1. */
function* runs(ids: ArrayLike<number>, from: number, to: number, n: number): Generator<{ at: number; hash: number }> {
  let lead = 1;
  for (let i = 1; i < n; i++) lead = Math.imul(lead, base);
  let hash = 0;
  let length = 0;
  for (let i = from; i < to; i++) {
    if (length === n) hash = (hash - Math.imul(lead, ids[i - n]! + 1)) | 0;
    else length++;
    hash = (Math.imul(hash, base) + ids[i]! + 1) | 0;
    if (ids[i]! < 0) {
      hash = 0;
      length = 0;
    } else if (length === n) yield { at: i - n + 1, hash };
  }
}

function equal(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, n: number): boolean {
  for (let k = 0; k < n; k++) if (a[i + k] !== b[j + k]) return false;
  return true;
}

export class GramTable {
  private readonly n: number;
  private readonly texts: ArrayLike<number>;
  /** By hash: where runs with it begin. Mostly one. */
  private readonly places = new Map<number, number | number[]>();

  /** @param texts ids of all texts end to end. */
  constructor(n: number, texts: ArrayLike<number>) {
    this.n = n;
    this.texts = texts;
  }

  /** Takes in the runs of the text that is at [from, to). A run that is there already keeps its first place. */
  add(from: number, to: number): void {
    for (const { at, hash } of runs(this.texts, from, to, this.n)) {
      const there = this.places.get(hash);
      if (there === undefined) this.places.set(hash, at);
      else if (this.find(this.texts, at, hash) < 0) this.places.set(hash, [...[there].flat(), at]);
    }
  }

  /** The first run of `ids` that one of the texts has, and its place there. */
  first(ids: ArrayLike<number>): { at: number; place: number } | undefined {
    for (const { at, hash } of runs(ids, 0, ids.length, this.n)) {
      const place = this.find(ids, at, hash);
      if (place >= 0) return { at, place };
    }
    return undefined;
  }

  private find(ids: ArrayLike<number>, at: number, hash: number): number {
    const there = this.places.get(hash);
    if (there === undefined) return -1;
    for (const place of typeof there === 'number' ? [there] : there) {
      if (equal(ids, at, this.texts, place, this.n)) return place;
    }
    return -1;
  }
}
