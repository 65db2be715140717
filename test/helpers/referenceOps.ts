// What each op means, in float64: one case an op, written from the docs in src/graph.
import { floatToHalf, halfToFloat } from '../../src/base/index.ts';
import { referenceDecodeOps } from './referenceDecodeOps.ts';
import { at, build, mapRows, type Tensor } from './tensor.ts';

interface Call {
  inputs: readonly Tensor[];
  attrs: Readonly<Record<string, unknown>>;
  /** Declared shapes of the outputs, in numbers. */
  shapes: readonly number[][];
}

export type ReferenceOp = (call: Call) => Tensor[];

const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

function broadcastShape(a: Tensor, b: Tensor): number[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  const dim = (t: Tensor, i: number) => t.shape[t.shape.length - rank + i] ?? 1;
  return Array.from({ length: rank }, (_, i) => (dim(a, i) === 1 ? dim(b, i) : dim(a, i)));
}

const zip =
  (f: (x: number, y: number) => number): ReferenceOp =>
  ({ inputs: [a, b] }) => [build(broadcastShape(a!, b!), (i) => f(at(a!, i), at(b!, i)))];

const map =
  (f: (x: number) => number): ReferenceOp =>
  ({ inputs: [a] }) => [{ shape: a!.shape, data: a!.data.map(f) }];

function product(a: Tensor, b: Tensor, { transA, transB, alpha = 1 }: Call['attrs']): Tensor {
  const lead = broadcastShape({ shape: a.shape.slice(0, -2), data: [] }, { shape: b.shape.slice(0, -2), data: [] });
  const [rows, inner] = transA ? a.shape.slice(-2).reverse() : a.shape.slice(-2);
  const columns = b.shape.at(transB ? -2 : -1)!;
  return build([...lead, rows!, columns], (index) => {
    const [r, c] = index.slice(-2) as [number, number];
    const batch = index.slice(0, -2);
    let total = 0;
    for (let k = 0; k < inner!; k++) {
      total += at(a, [...batch, ...(transA ? [k, r] : [r, k])]) * at(b, [...batch, ...(transB ? [c, k] : [k, c])]);
    }
    return total * Number(alpha);
  });
}

/** To the nearest integer, ties to even. */
export function roundEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** One row as 8-bit codes and their scale; `peak`: the magnitude of code 127 where it is not the row's largest. */
export function quantizeRow(row: readonly number[], peak = 0): { codes: number[]; scale: number } {
  const scale = Math.max((peak || Math.max(...row.map(Math.abs))) / 127, 1e-30);
  return { codes: row.map((x) => Math.max(-128, Math.min(127, roundEven(x / scale)))), scale };
}

const clamp = (x: number, low: number, high: number) => Math.max(low, Math.min(high, x));

/** One column as 4-bit levels with a whole step for each block. */
export function quantizeInt4Column(column: readonly number[], block: number) {
  const blocks = Array.from({ length: column.length / block }, (_, b) => column.slice(b * block, (b + 1) * block));
  const scale = Math.max(Math.max(...column.map(Math.abs)) / 120, 1e-30);
  const made = blocks.map((values) => {
    const [high, low] = [Math.max(...values), Math.min(...values)];
    const peak = (high > -low ? high : low) / scale;
    const tries = [0.85, 0.95, 1.05].map((size) => {
      const step = (peak > 0 ? -1 : 1) * clamp(roundEven((Math.abs(peak) / 8) * size), 1, 15);
      const levels = values.map((x) => clamp(roundEven(x / scale / step), -8, 7));
      return { step, levels, error: sum(values.map((x, i) => (x / scale - levels[i]! * step) ** 2)) };
    });
    return tries.reduce((best, t) => (t.error < best.error ? t : best));
  });
  return { scale, steps: made.map((m) => m.step), levels: made.flatMap((m) => m.levels) };
}

/** Each block of the last axis times `rotation` [block, block]. */
export function rotateRow(row: readonly number[], rotation: Tensor): number[] {
  const block = rotation.shape[0]!;
  return row.map((_, c) => {
    const start = c - (c % block);
    return sum(row.slice(start, start + block).map((x, k) => x * at(rotation, [k, c - start])));
  });
}

/** The levels of NF4 as QLoRA's paper prints them (Dettmers et al. 2023, appendix E). */
const nf4Levels = [
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334],
  ...[-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224],
  ...[0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
];

function expandedNf4(codes: Tensor, scales: Tensor, attrs: Call['attrs']): Tensor {
  const [out, inner, block] = [Number(attrs.out), Number(attrs.in), Number(attrs.block)];
  return build([out, inner], ([o, i]) => {
    const element = o! * inner + i!;
    const byte = codes.data[Math.floor(element / 2)]!;
    return nf4Levels[element % 2 ? byte % 16 : Math.floor(byte / 16)]! * scales.data[Math.floor(element / block)]!;
  });
}

const softmaxRow = (row: readonly number[]) => {
  const peak = Math.max(...row);
  const powers = row.map((x) => Math.exp(x - peak));
  return powers.map((p) => p / sum(powers));
};

export const referenceOps: Readonly<Record<string, ReferenceOp>> = {
  ...referenceDecodeOps,
  scalar: ({ attrs }) => [{ shape: [], data: [attrs.value as number] }],
  add: zip((x, y) => x + y),
  sub: zip((x, y) => x - y),
  mul: zip((x, y) => x * y),
  sigmoid: map(sigmoid),
  silu: map((x) => x * sigmoid(x)),

  matmul: ({ inputs: [a, b], attrs }) => [product(a!, b!, attrs)],
  addmm: ({ inputs: [c, a, b], attrs }) => {
    const ab = product(a!, b!, attrs);
    return [build(ab.shape, (i) => at(c!, i) + at(ab, i))];
  },

  int8Linear: ({ inputs: [x, w, scale, rotation], attrs }) => {
    const [inner, out] = w!.shape as [number, number];
    const y = mapRows(x!, (row) => {
      const q = quantizeRow(attrs.rotateInput ? rotateRow(row, rotation!) : row, Number(attrs.peak));
      const dot = (o: number) => sum(Array.from({ length: inner }, (_, i) => q.codes[i]! * at(w!, [i, o])));
      return Array.from({ length: out }, (_, o) => dot(o) * q.scale * at(scale!, [o]));
    });
    return [y];
  },

  quantizeRows: ({ inputs: [x] }) => {
    const scales: number[] = [];
    const codes = mapRows(x!, (row) => {
      const q = quantizeRow(row);
      scales.push(q.scale);
      return q.codes;
    });
    return [codes, { shape: [scales.length], data: scales }];
  },

  dequantizeRows: ({ inputs: [codes, scale] }) => [mapRows(codes!, (row, r) => row.map((c) => c * scale!.data[r]!))],

  quantizeInt4: ({ inputs: [x], attrs, shapes: [packed, steps, scales] }) => {
    const [rows, out] = x!.shape as [number, number];
    const block = attrs.block as number;
    const columns = Array.from({ length: out }, (_, o) => {
      return quantizeInt4Column(
        Array.from({ length: rows }, (_, i) => at(x!, [i, o])),
        block,
      );
    });
    const nibble = (i: number, o: number) => columns[o]!.levels[i]! + 8;
    return [
      build(packed!, ([i, o]) => nibble(i!, o!) + 16 * nibble(i! + rows / 2, o!)),
      build(steps!, ([b, o]) => columns[o!]!.steps[b!]!),
      build(scales!, ([o]) => columns[o!]!.scale),
    ];
  },

  unpackInt4: ({ inputs: [packed, steps], shapes: [shape] }) => {
    const half = packed!.shape[0]!;
    const block = shape![0]! / steps!.shape[0]!;
    const level = (byte: number, high: boolean) => (high ? Math.floor(byte / 16) : byte % 16) - 8;
    return [
      build(shape!, ([i, o]) => {
        return level(at(packed!, [i! % half, o!]), i! >= half) * at(steps!, [Math.floor(i! / block), o!]);
      }),
    ];
  },

  quantizeBlocks4: ({ inputs: [x], attrs, shapes: [packed, blocks] }) => {
    const block = attrs.block as number;
    const half = packed![0]!;
    const stored = (v: number) => halfToFloat(floatToHalf(v));
    const values = (row: number, b: number) => Array.from({ length: block }, (_, i) => at(x!, [row, b * block + i]));
    const offset = build(blocks!, ([r, b]) => stored(Math.min(...values(r!, b!))));
    const scale = build(blocks!, ([r, b]) => {
      return stored((Math.max(...values(r!, b!)) - Math.min(...values(r!, b!))) / 15);
    });
    const code = (row: number, c: number) => {
      const at2 = [row, Math.floor(c / block)];
      return clamp(roundEven((at(x!, [row, c]) - at(offset, at2)) / Math.max(at(scale, at2), 1e-30)), 0, 15);
    };
    return [build(packed!, ([r, c]) => code(r!, c!) + 16 * code(r! + half, c!)), scale, offset];
  },

  expandBlocks4: ({ inputs: [packed, scale, offset], shapes: [shape] }) => {
    const [half, width] = packed!.shape as [number, number];
    const block = width / scale!.shape[1]!;
    return [
      build(shape!, ([r, c]) => {
        const byte = at(packed!, [r! % half, c!]);
        const b = [r!, Math.floor(c! / block)];
        return (r! < half ? byte % 16 : Math.floor(byte / 16)) * at(scale!, b) + at(offset!, b);
      }),
    ];
  },

  nf4Linear: ({ inputs: [x, codes, scales], attrs }) => [
    product(x!, expandedNf4(codes!, scales!, attrs), { transB: true }),
  ],
  expandNf4: ({ inputs: [codes, scales], attrs }) => [expandedNf4(codes!, scales!, attrs)],

  reshape: ({ inputs: [a], shapes: [shape] }) => [{ shape: shape!, data: a!.data }],

  transpose: ({ inputs: [a], attrs }) => {
    const perm = attrs.perm as number[];
    const shape = perm.map((p) => a!.shape[p]!);
    return [build(shape, (i) => at(a!, perm.map((_, axis) => i[perm.indexOf(axis)]!)))]; // biome-ignore format: one idea
  },

  split: ({ inputs: [a], attrs }) => {
    let start = 0;
    return (attrs.sizes as number[]).map((n) => {
      const from = start;
      start += n;
      return mapRows(a!, (row) => row.slice(from, from + n));
    });
  },

  concat: ({ inputs, attrs }) => {
    const axis = attrs.axis as number;
    const shape = inputs[0]!.shape.map((d, i) => (i === axis ? sum(inputs.map((p) => p.shape[axis]!)) : d));
    const read = (index: number[]) => {
      let i = index[axis]!;
      for (const part of inputs) {
        if (i < part.shape[axis]!) return at(part, index.with(axis, i));
        i -= part.shape[axis]!;
      }
      throw new Error('past the end');
    };
    return [build(shape, read)];
  },

  reduceSum: ({ inputs: [a], attrs }) => {
    const axes = attrs.axes as number[];
    const kept = a!.shape.map((d, i) => (axes.includes(i) ? 1 : d));
    const total = build(kept, () => 0).data.slice();
    build(a!.shape, (index) => {
      const flat = kept.reduce((f, d, axis) => f * d + (axes.includes(axis) ? 0 : index[axis]!), 0);
      total[flat]! += at(a!, index);
      return 0;
    });
    return [{ shape: attrs.keep ? kept : a!.shape.filter((_, i) => !axes.includes(i)), data: total }];
  },

  gatherRows: ({ inputs: [table, index] }) => {
    const shape = [index!.shape[0]!, table!.shape[1]!];
    return [build(shape, ([r, c]) => at(table!, [index!.data[r!]!, c!]))];
  },

  scatterRows: ({ inputs: [rows, index, like] }) => {
    const from = (row: number) => index!.data.flatMap((target, r) => (target === row ? [r] : []));
    return [build(like!.shape, ([r, c]) => sum(from(r!).map((k) => at(rows!, [k, c!]))))];
  },

  repeatRows: ({ inputs: [table, index] }) => {
    return [build([index!.shape[0]!, table!.shape[1]!], ([r, c]) => at(table!, [index!.data[r!]!, c!]))];
  },

  sumRepeated: ({ inputs: [rows, own, shared, copies, mask], shapes: [shape] }) => {
    const places = (row: number) => {
      const column = shared!.data.indexOf(row);
      const more = column < 0 ? [] : [...Array(copies!.shape[0]).keys()].filter((i) => at(mask!, [i, column, 0]) === 1);
      return [own!.data[row]!, ...more.map((i) => at(copies!, [i, column]))];
    };
    return [build(shape!, ([r, c]) => sum(places(r!).map((k) => at(rows!, [k, c!]))))];
  },

  softmaxMatmul: ({ inputs: [scores, values] }) => {
    const probs = mapRows(scores!, softmaxRow);
    return [product(probs, values!, {}), probs];
  },

  softmax: ({ inputs: [a] }) => [mapRows(a!, softmaxRow)],

  causalMask: ({ inputs: [query, key] }) => {
    const shape = [query!.shape[0]!, key!.shape[0]!];
    return [build(shape, ([q, k]) => -1e9 * Math.max(0, key!.data[k!]! - query!.data[q!]!))];
  },

  rmsNorm: ({ inputs: [x, weight], attrs }) => {
    const inverse = (row: number[]) => 1 / Math.sqrt(sum(row.map((v) => v * v)) / row.length + (attrs.eps as number));
    const y = mapRows(x!, (row) => row.map((v, i) => v * inverse(row) * (weight?.data[i] ?? 1)));
    return [y, mapRows(x!, (row) => [inverse(row)])];
  },

  rotary: ({ inputs: [x, positions, cos, sin], attrs }) => {
    const half = cos!.shape[1]!;
    const sign = attrs.inverse ? -1 : 1;
    const y = mapRows(x!, (row, token) =>
      row.map((v, i) => {
        const j = i % (2 * half);
        const where = [positions!.data[token]!, j % half];
        const partner = j < half ? -row[i + half]! : row[i - half]!;
        return v * at(cos!, where) + sign * partner * at(sin!, where);
      }),
    );
    return [y];
  },

  crossEntropy: ({ inputs: [logits, labels, weights] }) => {
    const probs = mapRows(logits!, softmaxRow);
    const losses = labels!.data.map((label, r) => -Math.log(Math.max(at(probs, [r, label]), 1.2e-38)));
    return [{ shape: [], data: [sum(losses.map((l, r) => l * weights!.data[r]!))] }, probs];
  },

  headGrad: ({ inputs: [probs, labels, weights, codes, scale, mean], attrs, shapes: [shape] }) => {
    const [rows, vocab] = probs!.shape as [number, number];
    const all = [...Array(vocab).keys()];
    const mass = all.map((c) => sum([...Array(rows).keys()].map((r) => at(probs!, [r, c]))));
    const leading = all.sort((a, b) => mass[b]! - mass[a]!).slice(0, Number(attrs.columns));
    const weight = (row: number, c: number) => at(codes!, [row, c]) * scale!.data[row]!;
    return [
      build(shape!, ([r, c]) => {
        const expected = sum(leading.map((v) => at(probs!, [r!, v]) * weight(v, c!)));
        const rest = 1 - sum(leading.map((v) => at(probs!, [r!, v])));
        return (expected + rest * at(mean!, [0, c!]) - weight(labels!.data[r!]!, c!)) * weights!.data[r!]!;
      }),
    ];
  },

  crossEntropyGrad: ({ inputs: [probs, labels, weights] }) => [
    build(probs!.shape, ([r, c]) => (at(probs!, [r!, c!]) - (labels!.data[r!] === c ? 1 : 0)) * weights!.data[r!]!),
  ],
};
