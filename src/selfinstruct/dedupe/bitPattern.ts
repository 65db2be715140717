// Longest common subsequence by bit-parallel dynamic programming: a whole column of the table in one machine word.
// Hyyro, "Bit-parallel LCS-length computation revisited" (2004), after Crochemore et al. (2001): for each token of the text
// V = (V + (V & M)) | (V & ~M), M the places of the token in the pattern; the LCS is the number of zeros in V.
import { withRoom } from './ints.ts';

/** Places that one word holds. A pattern of up to 32 fits in one; longer ones take 31 a word, the 32nd bit is the carry. */
const SINGLE = 32;
const WORD = 31;
const WORD_MASK = 0x7fff_ffff;

function ones(x: number): number {
  x -= (x >>> 1) & 0x5555_5555;
  x = (x & 0x3333_3333) + ((x >>> 2) & 0x3333_3333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** One text laid out for comparison with many. Tokens are ids from 0; a negative id equals nothing, not even itself. */
export class BitPattern {
  /** Tokens of the pattern. */
  length = 0;
  /** By token id. One word: the mask itself. More: 1 + the row of the mask in `rows`. 0: not in the pattern. */
  private table = new Int32Array(1024);
  private rows = new Int32Array(0);
  private state = new Int32Array(0);
  private held: ArrayLike<number> = [];
  private words = 1;

  /**
   * @param ids kept until the next call, and not to be changed before it.
   * @param bound above every id of the pattern and of the texts that it will be compared with.
   */
  set(ids: ArrayLike<number>, bound: number): void {
    const { held } = this;
    for (let i = 0; i < held.length; i++) if (held[i]! >= 0) this.table[held[i]!] = 0;
    this.table = withRoom(this.table, bound);
    this.held = ids;
    this.length = ids.length;
    if (ids.length <= SINGLE) this.setSingle(ids);
    else this.setRows(ids);
  }

  private setSingle(ids: ArrayLike<number>): void {
    this.words = 1;
    for (let i = 0; i < ids.length; i++) if (ids[i]! >= 0) this.table[ids[i]!] = this.table[ids[i]!]! | (1 << i);
  }

  private setRows(ids: ArrayLike<number>): void {
    const { table } = this;
    const words = Math.ceil(ids.length / WORD);
    this.words = words;
    this.state = withRoom(this.state, words);
    this.rows = withRoom(this.rows, words * ids.length);
    let used = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (id < 0) continue;
      if (table[id] === 0) {
        this.rows.fill(0, used * words, (used + 1) * words);
        table[id] = ++used;
      }
      const at = (table[id]! - 1) * words + Math.floor(i / WORD);
      this.rows[at] = this.rows[at]! | (1 << (i % WORD));
    }
  }

  /** LCS of the pattern and `tokens[start .. start + count)`. */
  lcs(tokens: Int32Array, start: number, count: number): number {
    return this.words === 1 ? this.lcsSingle(tokens, start, count) : this.lcsRows(tokens, start, count);
  }

  private lcsSingle(tokens: Int32Array, start: number, count: number): number {
    const { table } = this;
    let v = -1;
    for (let i = start; i < start + count; i++) {
      const mask = table[tokens[i]!]!;
      v = (v + (v & mask)) | 0 | (v & ~mask);
    }
    return ones(~v);
  }

  /**
   * The LCS with each of `count` texts of `length` tokens, one after the other in `tokens`, into `out`. Four at a time: the
   * steps of one text wait for each other, those of four do not.
   */
  lcsEach(tokens: Int32Array, length: number, count: number, out: Int32Array): void {
    const { table } = this;
    let k = 0;
    if (this.words === 1) {
      for (; k + 4 <= count; k += 4) {
        let [v0, v1, v2, v3] = [-1, -1, -1, -1];
        const end = (k + 1) * length;
        for (let i = k * length; i < end; i++) {
          const u0 = v0 & table[tokens[i]!]!;
          const u1 = v1 & table[tokens[i + length]!]!;
          const u2 = v2 & table[tokens[i + 2 * length]!]!;
          const u3 = v3 & table[tokens[i + 3 * length]!]!;
          v0 = (v0 + u0) | 0 | (v0 - u0);
          v1 = (v1 + u1) | 0 | (v1 - u1);
          v2 = (v2 + u2) | 0 | (v2 - u2);
          v3 = (v3 + u3) | 0 | (v3 - u3);
        }
        out[k] = ones(~v0);
        out[k + 1] = ones(~v1);
        out[k + 2] = ones(~v2);
        out[k + 3] = ones(~v3);
      }
    }
    for (; k < count; k++) out[k] = this.lcs(tokens, k * length, length);
  }

  private lcsRows(tokens: Int32Array, start: number, count: number): number {
    const { table, rows, state, words } = this;
    for (let w = 0; w < words; w++) state[w] = WORD_MASK;
    for (let i = start; i < start + count; i++) {
      const row = table[tokens[i]!]!;
      if (row === 0) continue;
      let carry = 0;
      for (let w = 0, at = (row - 1) * words; w < words; w++, at++) {
        const v = state[w]!;
        const mask = rows[at]!;
        const sum = (v + (v & mask) + carry) | 0;
        carry = sum >>> 31;
        state[w] = (sum | (v & ~mask)) & WORD_MASK;
      }
    }
    let zeros = 0;
    for (let w = 0; w < words; w++) zeros += ones(~state[w]! & WORD_MASK);
    return zeros;
  }
}
