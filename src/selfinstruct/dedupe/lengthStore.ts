// The texts of a set as token ids, those of one length side by side: the score of a pair depends on the two lengths and the
// LCS alone, so whole lengths can be skipped, and sums are kept by length.
import { withRoom } from './ints.ts';

/** Texts of one length. Text k has the tokens [k * length, (k + 1) * length); `ids` is ascending. */
export interface LengthGroup {
  readonly length: number;
  count: number;
  tokens: Int32Array;
  ids: Int32Array;
}

export class LengthStore {
  /** By length; lengths that do not occur are undefined. */
  readonly groups: (LengthGroup | undefined)[] = [];
  /** Those that do, ascending. */
  readonly present: LengthGroup[] = [];
  /** Above every token id that was added. */
  tokenBound = 0;
  /** Texts of no token have no group. */
  size = 0;

  /**
   * @param id above that of every text before it.
   * @returns the text's place in its group.
   */
  add(id: number, tokens: ArrayLike<number>): number {
    this.size++;
    const length = tokens.length;
    if (length === 0) return 0;
    this.groups[length] ??= this.open(length);
    const group = this.groups[length];
    const place = group.count++;
    group.tokens = withRoom(group.tokens, group.count * length);
    group.tokens.set(tokens, place * length);
    group.ids = withRoom(group.ids, group.count);
    group.ids[place] = id;
    for (let i = 0; i < length; i++) if (tokens[i]! >= this.tokenBound) this.tokenBound = tokens[i]! + 1;
    return place;
  }

  private open(length: number): LengthGroup {
    const group = { length, count: 0, tokens: new Int32Array(0), ids: new Int32Array(0) };
    this.present.push(group);
    this.present.sort((a, b) => a.length - b.length);
    return group;
  }
}

/** How many texts of a group have an id below `limit`. */
export function countBelow(group: LengthGroup, limit: number): number {
  let [low, high] = [0, group.count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (group.ids[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
