// Packing in blocks of 4 and 8 bits: equal to an obvious slow version bit by bit, exact for the grids of GGUF files, and within
// bounds for everything else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRng, floatToHalf } from '../../../src/base/index.ts';
import {
  emptyNBits,
  floatArrayToHalf,
  type NBitsCodes,
  nBitsShape,
  nBitsWidth,
  packNBits,
  packRows,
  withoutMeans,
} from '../../../src/quant/index.ts';

const block = 32;
const clamp = (x: number, most: number) => Math.min(most, Math.max(0, x));

/** A number [..] of `bits` bits among packed ones; low half first. */
const field = (bytes: Uint8Array, start: number, i: number, bits: number) =>
  bits === 8 ? bytes[start + i]! : (bytes[start + (i >> 1)]! >> (4 * (i & 1))) & 15;

/** The matrix with all its columns, as the kernel sees it: [out, nBitsWidth]. */
function unpacked({ codes, scales, zeroPoints }: NBitsCodes, bits: 4 | 8, out: number, width: number): number[][] {
  const shape = nBitsShape(bits, out, width);
  const [, blocks, bytes] = shape.codes as [number, number, number];
  const pointBytes = shape.zeroPoints[1]!;
  return Array.from({ length: out }, (_, row) =>
    Array.from({ length: nBitsWidth(width) }, (_, column) => {
      const b = Math.floor(column / block);
      const code = field(codes, row * blocks * bytes, column, bits);
      const point = field(zeroPoints, row * pointBytes, b, bits);
      return (code - point) * scales[row * blocks + b]!;
    }),
  );
}

/** The weights that the packed matrix stands for: a block's mean column adds its 32nd part to each of them. */
function weightsOf(packed: NBitsCodes, bits: 4 | 8, out: number, width: number): number[][] {
  return unpacked(packed, bits, out, width).map((row) =>
    row.slice(0, width).map((w, i) => w + row[width + Math.floor(i / block)]! / block),
  );
}

const mostOf = (bits: 4 | 8) => 2 ** bits - 1;

/** The grid low + level * step of a block, the zero point, and what that leaves: the block is (level - point) * step + rest. */
function gridOf(bits: 4 | 8, x: readonly number[]) {
  const [least, greatest] = [Math.min(...x), Math.max(...x)];
  const { low, step } = bits === 4 ? bestGrid(x) : { low: least, step: (greatest - least) / 255 || 1 };
  const point = clamp(Math.round(-low / step), mostOf(bits));
  return { low, step, point, rest: low + step * point };
}

/** What is packed, said once more without any care for speed. */
function slowly(bits: 4 | 8, weight: Float32Array, out: number, width: number): NBitsCodes {
  const made = emptyNBits(bits, out, width);
  const most = mostOf(bits);
  const shape = nBitsShape(bits, out, width);
  const [, blocks, bytes] = shape.codes as [number, number, number];
  const set = (into: Uint8Array, start: number, i: number, value: number) => {
    if (bits === 8) into[start + i] = value;
    else into[start + (i >> 1)]! += value * 16 ** (i & 1);
  };
  const put = (row: number, b: number, step: number, point: number, levels: readonly number[]) => {
    made.scales[row * blocks + b] = step;
    set(made.zeroPoints, row * shape.zeroPoints[1]!, b, point);
    for (const [i, level] of levels.entries()) set(made.codes, (row * blocks + b) * bytes, i, level);
  };
  for (let row = 0; row < out; row++) {
    const rests: number[] = [];
    for (let b = 0; b < width / block; b++) {
      const x = blockOf(weight, row * width + b * block);
      const { low, step, point, rest } = gridOf(bits, x);
      put(row, b, step, point, levelsOn(x, low, step, most));
      rests.push(Math.fround(rest * block));
    }
    for (let b = width / block; b < blocks; b++) {
      const at = (b - width / block) * block;
      const x = Array.from({ length: block }, (_, i) => rests[at + i] ?? 0);
      const [low, high] = [Math.min(0, ...x), Math.max(0, ...x)];
      const step = (high - low) / most || 1;
      const point = Math.round(-low / step);
      put(row, b, step, point, levelsOn(x, -point * step, step, most));
    }
  }
  return made;
}

const blockOf = (weight: Float32Array, from: number): number[] => [...weight.subarray(from, from + block)];

const levelsOn = (x: readonly number[], low: number, step: number, most: number) =>
  x.map((v) => clamp(Math.round((v - low) / step), most));

const squaredError = (x: readonly number[], low: number, step: number) =>
  levelsOn(x, low, step, 15).reduce((sum, level, i) => sum + (low + level * step - x[i]!) ** 2, 0);

function bestGrid(x: readonly number[]): { low: number; step: number } {
  const [low, high] = [Math.min(...x), Math.max(...x)];
  if (low === high) return { low: 0, step: low === 0 ? 1 : low };
  const enough = (high - low) ** 2 * 1e-7;
  const signed = (-low > high ? low : high) / -8;
  const [middle, half] = [(low + high) / 2, (high - low) / 2];
  const grids = [
    { low, step: (high - low) / 15 },
    { low: -8 * signed, step: signed },
    { low: middle - half * 0.94, step: (2 * (half * 0.94)) / 15 },
    { low: middle - half * 0.88, step: (2 * (half * 0.88)) / 15 },
  ];
  const errors = grids.map((g) => squaredError(x, g.low, g.step));
  let best = 0;
  for (let i = 1; i < grids.length; i++) {
    if (i <= 2 && errors[best]! <= enough) break;
    if (errors[i]! < errors[best]!) best = i;
  }
  return grids[best]!;
}

/** A matrix of random blocks of many kinds: spread out, far from 0, on grids, constant, of zeros, tiny and huge. */
function matrix(seed: number, out: number, width: number): Float32Array {
  const rng = createRng(seed);
  const made = new Float32Array(out * width);
  for (let from = 0; from < made.length; from += block) {
    const size = 10 ** (rng.uniform() * 8 - 6);
    const centre = rng.below(3) === 0 ? size * (4 * rng.uniform() - 2) : 0;
    const kind = rng.below(6);
    for (let i = from; i < from + block; i++) {
      if (kind === 0) made[i] = size * (rng.below(16) - 8);
      else if (kind === 1) made[i] = centre + size * rng.below(16);
      else if (kind === 2) made[i] = centre;
      else if (kind === 3) made[i] = rng.below(8) === 0 ? size * 10 : size * (rng.uniform() - 0.5);
      else made[i] = centre + size * (2 * rng.uniform() - 1);
    }
  }
  return made;
}

const widths = fc.integer({ min: 1, max: 5 }).map((blocks) => blocks * block);
const cases = fc.record({ seed: fc.nat(), out: fc.integer({ min: 1, max: 4 }), width: widths });

describe.each([4, 8] as const)('%i bits', (bits) => {
  it('are those of the slow version, bit by bit', () => {
    fc.assert(
      fc.property(cases, ({ seed, out, width }) => {
        const weight = matrix(seed, out, width);
        expect(packNBits(bits, weight, out, width)).toEqual(slowly(bits, weight, out, width));
      }),
      { numRuns: 60 },
    );
  });

  it('also with more blocks than a block of means has columns', () => {
    const [out, width] = [2, 33 * block];
    const weight = matrix(7, out, width);
    expect(packNBits(bits, weight, out, width)).toEqual(slowly(bits, weight, out, width));
  });

  it('come out the same whether rows are handed in at once or by parts', () => {
    const [out, width] = [7, 3 * block];
    const weight = matrix(3, out, width);
    const made = emptyNBits(bits, out, width);
    for (const [from, to] of [
      [0, 2],
      [2, 3],
      [3, 7],
    ] as const) {
      packRows(bits, weight.subarray(from * width, to * width), width, made, from);
    }
    expect(made).toEqual(packNBits(bits, weight, out, width));
  });

  it.each([1, 2, 3, 31, 32, 33])('have the sizes that the kernel wants for %i blocks', (own) => {
    const [out, width] = [3, own * block];
    const blocks = own + Math.ceil(own / block);
    expect(nBitsShape(bits, out, width)).toEqual({
      codes: [3, blocks, bits === 8 ? 32 : 16],
      scales: [3, blocks],
      zeroPoints: [3, bits === 8 ? blocks : Math.ceil(blocks / 2)],
    });
    const { codes, scales, zeroPoints } = packNBits(bits, matrix(own, out, width), out, width);
    expect([codes.length, scales.length, zeroPoints.length]).toEqual([
      3 * blocks * (bits === 8 ? 32 : 16),
      3 * blocks,
      3 * (bits === 8 ? blocks : Math.ceil(blocks / 2)),
    ]);
  });

  it('keep zeros and a constant as they are', () => {
    const width = 2 * block;
    const weight = Float32Array.from({ length: width }, (_, i) => (i < block ? 0 : -0.3));
    const [row] = weightsOf(packNBits(bits, weight, 1, width), bits, 1, width);
    expect(row!.slice(0, block)).toEqual(new Array(block).fill(0));
    for (const w of row!.slice(block)) expect(w).toBeCloseTo(-0.3, 7);
  });
});

/** A block of GGUF's Q4_0: d * (q - 8), its weight of largest magnitude has q = 0, and it has small ones too. */
const q40 = fc
  .tuple(
    fc.double({ min: 1e-4, max: 2, noNaN: true }),
    fc.boolean(),
    fc.array(fc.nat(15), { minLength: 29, maxLength: 29 }),
  )
  .map(([d, negative, q]) => [0, 7, 8, ...q].map((level) => Math.fround(negative ? -d : d) * (level - 8)));
/** A block of Q4_1: d * q + m with d and m of 11 significant bits; its least weight has q = 0, its greatest q = 15. */
const q41 = fc
  .tuple(
    fc.integer({ min: 1, max: 2047 }),
    fc.integer({ min: -30_000, max: 0 }),
    fc.array(fc.nat(15), { minLength: 30, maxLength: 30 }),
  )
  .map(([d, m, q]) => ({
    d: d / 4096,
    weights: [0, 15, ...q].map((level) => (level * d + Math.min(0, Math.max(m, -15 * d))) / 4096),
  }));

describe('4 bits', () => {
  it('are exact for a block of Q4_0, to the rounding of its scale', () => {
    fc.assert(
      fc.property(q40, (weights) => {
        const weight = Float32Array.from(weights);
        const [row] = weightsOf(packNBits(4, weight, 1, block), 4, 1, block);
        const rounding = 2 ** -22 * Math.abs(weight[0]!);
        for (const [i, w] of row!.entries()) expect(Math.abs(w - weight[i]!)).toBeLessThanOrEqual(rounding);
      }),
    );
  });

  /** The means' columns have 4 bits for a sum over the block of at most d / 2 a weight, so: d / 2 / 15, half of it for either side. */
  it('are off by at most a 30th of a step for blocks of Q4_1: the 4 bits that the means have', () => {
    fc.assert(
      fc.property(fc.array(q41, { minLength: 1, maxLength: 40 }), (blocks) => {
        const weight = Float32Array.from(blocks.flatMap((b) => b.weights));
        const row = weightsOf(packNBits(4, weight, 1, weight.length), 4, 1, weight.length)[0]!;
        const largest = Math.max(...blocks.map((b) => b.d));
        for (const [i, w] of row.entries()) expect(Math.abs(w - weight[i]!)).toBeLessThan((largest / 30) * 1.001);
        // Within a block the steps are exact: what is off is the same for all of its weights.
        for (const [b, { d }] of blocks.entries()) {
          const off = row.slice(b * block, (b + 1) * block).map((w, i) => w - weight[b * block + i]!);
          expect(Math.max(...off) - Math.min(...off)).toBeLessThan(d * 1e-5);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('8 bits', () => {
  it('are off by at most a 510th of a step for blocks of Q4_1: each of its levels is there, and the means have 8 bits', () => {
    fc.assert(
      fc.property(fc.array(q41, { minLength: 1, maxLength: 40 }), (blocks) => {
        const weight = Float32Array.from(blocks.flatMap((b) => b.weights));
        const row = weightsOf(packNBits(8, weight, 1, weight.length), 8, 1, weight.length)[0]!;
        const largest = Math.max(...blocks.map((b) => b.d));
        for (const [i, w] of row.entries()) expect(Math.abs(w - weight[i]!)).toBeLessThan((largest / 510) * 1.01);
      }),
      { numRuns: 50 },
    );
  });
});

describe.each([
  [4, 15],
  [8, 255],
] as const)('any block in %i bits', (bits, most) => {
  it(`is off by at most half of ${most} steps from its least to its greatest weight (rms), and what the means lose`, () => {
    fc.assert(
      fc.property(cases, ({ seed, out, width }) => {
        const weight = matrix(seed, out, width);
        const made = weightsOf(packNBits(bits, weight, out, width), bits, out, width);
        for (let row = 0; row < out; row++) {
          const blocks = Array.from({ length: width / block }, (_, b) => blockOf(weight, row * width + b * block));
          // Far from 0 the rest is about the smallest weight.
          const rests = blocks.map((x) => gridOf(bits, x).rest);
          const means = (Math.max(0, ...rests) - Math.min(0, ...rests)) / (2 * most);
          for (const [b, x] of blocks.entries()) {
            const sum = x.reduce((s, v, i) => s + (made[row]![b * block + i]! - v) ** 2, 0);
            const bound = (Math.max(...x) - Math.min(...x)) / (2 * most) + means;
            const rounding = 1e-6 * Math.max(...x.map(Math.abs), ...rests.map(Math.abs));
            expect(Math.sqrt(sum / block)).toBeLessThanOrEqual(bound + rounding);
          }
        }
      }),
    );
  });
});

describe('without the columns for means', () => {
  /** The weights of a matrix that has none. */
  const plain = ({ codes, scales, zeroPoints }: NBitsCodes, bits: 4 | 8, out: number, width: number) =>
    Array.from({ length: out * width }, (_, at) => {
      const [row, column] = [Math.floor(at / width), at % width];
      const blocks = width / block;
      const b = Math.floor(column / block);
      const code = field(codes, (row * blocks * block * bits) / 8, column, bits);
      const point = field(zeroPoints, row * Math.ceil((blocks * bits) / 8), b, bits);
      return (code - point) * scales[row * blocks + b]!;
    });

  it.each([1, 2, 3, 33])('a matrix of Q4_0 is the same, with %i blocks in a row', (own) => {
    const [out, width] = [3, own * block];
    const blocks = fc.sample(q40, { numRuns: out * own, seed: own });
    const packed = packNBits(4, Float32Array.from(blocks.flat()), out, width);
    const made = withoutMeans(4, packed, out, width)!;
    const shape = nBitsShape(4, out, width, false);
    expect(shape).toEqual({ codes: [3, own, 16], scales: [3, own], zeroPoints: [3, Math.ceil(own / 2)] });
    expect([made.codes.length, made.scales.length, made.zeroPoints.length]).toEqual([
      3 * own * 16,
      3 * own,
      3 * Math.ceil(own / 2),
    ]);
    const whole = weightsOf(packed, 4, out, width).flat();
    for (const [i, w] of plain(made, 4, out, width).entries()) expect(Math.abs(w - whole[i]!)).toBeLessThan(1e-5);
    // No half byte of what is gone.
    if (own % 2 === 1) expect(made.zeroPoints.every((z, i) => (i + 1) % Math.ceil(own / 2) !== 0 || z < 16)).toBe(true);
  });

  it.each([4, 8] as const)('there is none where blocks start anywhere, in %i bits', (bits) => {
    const [out, width] = [2, 4 * block];
    const weight = Float32Array.from({ length: out * width }, (_, i) => Math.sin(i * 0.7) + 0.3);
    expect(withoutMeans(bits, packNBits(bits, weight, out, width), out, width)).toBeUndefined();
    // One block of one row is enough.
    const one = new Float32Array(out * width).map((_, i) => (i < width ? 0 : weight[i]!)).fill(0, width + block);
    expect(withoutMeans(bits, packNBits(bits, one, out, width), out, width)).toBeUndefined();
  });
});

describe('halves', () => {
  const one = (x: number) => floatArrayToHalf(Float32Array.of(x))[0];

  it('are those of floatToHalf for any float32', () => {
    const bits = new Float32Array(1);
    const asFloat = (n: number) => {
      new Uint32Array(bits.buffer)[0] = n;
      return bits[0]!;
    };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }).map(asFloat), (x) => {
        expect(one(x)).toBe(floatToHalf(x));
      }),
      { numRuns: 2000 },
    );
  });

  it('also halfway between two of them, and at both ends', () => {
    const halfway = [2049, 2051, 2 ** -25, 3 * 2 ** -25, 2 ** -14 - 2 ** -25, 65519, 65520, 1e-9, 0, Infinity, NaN];
    for (const x of halfway) {
      for (const near of [x, -x, x * (1 + 2 ** -23), x * (1 - 2 ** -24)]) expect(one(near)).toBe(floatToHalf(near));
    }
  });
});
