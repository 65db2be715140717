// MinHash (Broder 1997): a short signature of a set, of which two agree in a place as often as the sets' Jaccard index.
// Cut into bands (locality-sensitive hashing, Indyk & Motwani 1998), near sets share a band whole and meet in its table.
import { createRng } from '../../base/index.ts';

/** murmur3's finaliser: every bit of the input reaches every bit of the result. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hashes of all runs of `width` tokens, ascending and each once; of the whole text where it is shorter. */
export function shingles(tokens: readonly string[], width: number): Uint32Array {
  const found = new Set<number>();
  const last = Math.max(1, tokens.length - width + 1);
  for (let start = 0; start < last && tokens.length > 0; start++) {
    let h = 0x811c_9dc5;
    for (const token of tokens.slice(start, start + width)) {
      for (let i = 0; i < token.length; i++) h = Math.imul(h ^ token.charCodeAt(i), 0x0100_0193);
      h = mix(h ^ 0x20);
    }
    found.add(h >>> 0);
  }
  return Uint32Array.from(found).sort();
}

/** Common share of two sets, each ascending; 0 for empty ones. */
export function jaccard(a: Uint32Array, b: Uint32Array): number {
  let common = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i]! < b[j]!) i++;
    else if (a[i]! > b[j]!) j++;
    else {
      common++;
      i++;
      j++;
    }
  }
  return common === 0 ? 0 : common / (a.length + b.length - common);
}

/**
 * The longest bands, and so the fewest texts met for nothing, with which two sets of Jaccard index `threshold` share one
 * with a probability of at least `recall`.
 */
export function chooseBands(hashes: number, threshold: number, recall: number): { bands: number; rows: number } {
  for (let rows = Math.min(hashes, 32); rows > 1; rows--) {
    const bands = Math.floor(hashes / rows);
    if (1 - (1 - threshold ** rows) ** bands >= recall) return { bands, rows };
  }
  return { bands: hashes, rows: 1 };
}

/** The hash functions of a seed. */
export function hashSeeds(hashes: number, seed: number): Uint32Array {
  const rng = createRng(seed);
  return Uint32Array.from({ length: hashes }, () => rng.uint32());
}

/** One number a band: equal bands have equal ones. */
export function bandKeys(set: Uint32Array, seeds: Uint32Array, bands: number, rows: number): Uint32Array {
  const keys = new Uint32Array(bands);
  for (let band = 0; band < bands; band++) {
    let key = band;
    for (let row = 0; row < rows; row++) {
      const seed = seeds[band * rows + row]!;
      let least = 0xffff_ffff;
      for (let i = 0; i < set.length; i++) {
        const h = mix(set[i]! ^ seed);
        if (h < least) least = h;
      }
      key = mix(key ^ least) + row;
    }
    keys[band] = key;
  }
  return keys;
}
