// Seeded random numbers (xoshiro128**, Blackman & Vigna 2018), so that a run repeats bit for bit.

export interface Rng {
  /** Uniform integer in [0, 2^32). */
  uint32(): number;
  /** Uniform in [0, 1), 24 bits: exactly representable in float32. */
  uniform(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** In-place Fisher-Yates shuffle; returns the same array. */
  shuffle<T>(items: T[]): T[];
  /** An independent stream, named so that adding a consumer does not shift the others. */
  fork(name: string): Rng;
}

/** 32-bit FNV-1a, used to turn a stream's name into seed material. */
function hashName(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** splitmix32: spreads a small seed over the whole state. */
function splitmix(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x9e3779b9) | 0;
    let t = a ^ (a >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  };
}

/** @param seed any integer; equal seeds give equal streams on every machine. */
export function createRng(seed: number): Rng {
  const next = splitmix(seed);
  let [a, b, c, d] = [next(), next(), next(), next()];
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const uint32 = () => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result >>> 0;
  };
  const below = (n: number) => Math.floor((uint32() / 0x1_0000_0000) * n);
  return {
    uint32,
    uniform: () => (uint32() >>> 8) / 0x100_0000,
    below,
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        const held = items[i]!;
        items[i] = items[j]!;
        items[j] = held;
      }
      return items;
    },
    fork: (name) => createRng(hashName(name) ^ Math.imul(seed | 0, 0x9e3779b1)),
  };
}
