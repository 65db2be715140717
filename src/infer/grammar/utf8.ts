// Ranges of code points -> sequences of byte ranges that spell exactly them in UTF-8 (RFC 3629).

/** Inclusive. */
export type Range = readonly [lo: number, hi: number];

export const lastCodePoint = 0x10ffff;
/** Every code point that UTF-8 can spell: all but the surrogates. */
export const allScalars: readonly Range[] = [
  [0, 0xd7ff],
  [0xe000, lastCodePoint],
];

/** Last code point of 1, 2, 3 and 4 bytes. */
const lastOfLength = [0x7f, 0x7ff, 0xffff, lastCodePoint];

/** @returns one list of byte ranges for each sequence; together they spell lo to hi, without surrogates. */
export function utf8Sequences([from, to]: Range): Range[][] {
  const sequences: Range[][] = [];
  const add = (lo: number, hi: number, length: number): void => {
    // Where a trailing byte does not run through all of its values, the bytes before it must stand still.
    for (let i = 1; i < length; i++) {
      const mask = 2 ** (6 * i) - 1;
      if ((lo & ~mask) === (hi & ~mask)) continue;
      const cut = (lo & mask) !== 0 ? (lo | mask) + 1 : (hi & mask) !== mask ? hi & ~mask : undefined;
      if (cut === undefined) continue;
      add(lo, cut - 1, length);
      add(cut, hi, length);
      return;
    }
    const [a, b] = [encode(lo, length), encode(hi, length)];
    sequences.push(a.map((byte, i) => [byte, b[i]!] as const));
  };
  for (const scalars of allScalars) {
    let lo = Math.max(from, scalars[0]);
    const end = Math.min(to, scalars[1]);
    for (const [i, last] of lastOfLength.entries()) {
      if (lo > end) break;
      if (lo > last) continue;
      const hi = Math.min(end, last);
      add(lo, hi, i + 1);
      lo = hi + 1;
    }
  }
  return sequences;
}

const leads = [0, 0, 0xc0, 0xe0, 0xf0];

function encode(code: number, length: number): number[] {
  const bytes = [leads[length]! | (code >> (6 * (length - 1)))];
  for (let i = length - 2; i >= 0; i--) bytes.push(0x80 | ((code >> (6 * i)) & 0x3f));
  return bytes;
}

/** Sorted, without overlap. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: [number, number][] = [];
  for (const [lo, hi] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && lo <= last[1] + 1) last[1] = Math.max(last[1], hi);
    else merged.push([lo, hi]);
  }
  return merged;
}

/** What is left of all code points. */
export function complementRanges(ranges: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let from = 0;
  for (const [lo, hi] of mergeRanges(ranges)) {
    if (lo > from) rest.push([from, lo - 1]);
    from = hi + 1;
  }
  if (from <= lastCodePoint) rest.push([from, lastCodePoint]);
  return rest;
}
