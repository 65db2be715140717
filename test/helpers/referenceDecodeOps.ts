// What the ops of generation mean, in float64, written from the docs in src/graph/decodeOps.ts.
import type { ReferenceOp } from './referenceOps.ts';
import { at, build, mapRows, size, type Tensor } from './tensor.ts';

const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);

/** The code at `index` of a row whose first code begins at byte `start`. */
function codeAt(packed: Tensor, start: number, index: number, bits: number): number {
  if (bits === 8) return packed.data[start + index]!;
  const byte = packed.data[start + Math.floor(index / 2)]!;
  return index % 2 ? Math.floor(byte / 16) : byte % 16;
}

/** The matrix [out, in] behind codes in blocks. */
function expandedNBits(codes: Tensor, scales: Tensor, points: Tensor, bits: number, shape: number[]): Tensor {
  const [, blocks, bytes] = codes.shape as [number, number, number];
  const block = (bytes * 8) / bits;
  return build(shape, ([o, i]) => {
    const b = Math.floor(i! / block);
    const zeroPoint = codeAt(points, o! * points.shape[1]!, b, bits);
    return (codeAt(codes, o! * blocks * bytes, i!, bits) - zeroPoint) * at(scales, [o!, b]);
  });
}

/** One head's vector turned to a position: element j of the first half with element j of the second. */
function turned(vector: readonly number[], position: number, cos: Tensor, sin: Tensor): number[] {
  const half = vector.length / 2;
  return vector.map((x, i) => {
    const partner = i < half ? -vector[i + half]! : vector[i - half]!;
    return x * at(cos, [position, i % half]) + partner * at(sin, [position, i % half]);
  });
}

function softmaxMix(scores: readonly number[], vectors: readonly number[][]): number[] {
  const peak = Math.max(...scores);
  const powers = scores.map((s) => Math.exp(s - peak));
  return vectors[0]!.map((_, i) => sum(powers.map((p, k) => p * vectors[k]![i]!)) / sum(powers));
}

/** Values falling, equal ones by rising index. */
const ranked = (row: readonly number[]) => row.map((_, i) => i).sort((i, j) => row[j]! - row[i]! || i - j);

export const referenceDecodeOps: Readonly<Record<string, ReferenceOp>> = {
  toFloat: ({ inputs: [x] }) => [x!],

  embedTokens: ({ inputs: [table, ids], shapes: [shape] }) => [
    build(shape!, ([b, t, c]) => at(table!, [at(ids!, [b!, t!]), c!])),
  ],

  joinRows: ({ inputs: [x] }) => [{ shape: [x!.shape[0]! * x!.shape[1]!, x!.shape[2]!], data: x!.data }],
  splitRows: ({ inputs: [x, like] }) => [{ shape: [...like!.shape.slice(0, 2), x!.shape[1]!], data: x!.data }],

  // Without the quantisation of x, which changes nothing where the largest magnitude of each block is 127 and all are whole.
  nBitsLinear: ({ inputs: [x, codes, scales, points], attrs }) => {
    const [out, inner] = [Number(attrs.out), Number(attrs.in)];
    const w = expandedNBits(codes!, scales!, points!, Number(attrs.bits), [out, inner]);
    const block = Number(attrs.block);
    const mean = (row: number[], b: number) => sum(row.slice(b * block, (b + 1) * block)) / block;
    const seen = (row: number[]) =>
      attrs.means ? [...row, ...Array.from({ length: row.length / block }, (_, b) => mean(row, b))] : row;
    const dot = (row: number[], o: number) => sum(row.map((v, i) => v * at(w, [o, i])));
    return [mapRows(x!, (row) => Array.from({ length: out }, (_, o) => dot(seen(row), o)))];
  },

  cachedAttention: ({ inputs, attrs, shapes: [shape] }) => {
    const [heads, kvHeads] = [Number(attrs.heads), Number(attrs.kvHeads)];
    const [pastK, pastV, lastKey, total, cos, sin] = inputs.slice(-6) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const qkv = inputs.slice(0, -6);
    const tokens = qkv[0]!.shape[1]!;
    const headDim = pastK.shape[3]!;
    if (total.data[0] !== Math.max(...lastKey.data) + 1) throw new Error(`total ${total.data} for ${lastKey.data}`);

    const firstHeads = qkv.length === 1 ? [0, heads, heads + kvHeads] : [0, 0, 0];
    /** One head of the queries (0), keys (1) or values (2) of a token. */
    const vector = (part: number, b: number, t: number, h: number) => {
      const start = (firstHeads[part]! + h) * headDim;
      return Array.from({ length: headDim }, (_, i) => at(qkv.length === 1 ? qkv[0]! : qkv[part]!, [b, t, start + i]));
    };
    const positionOf = (b: number, t: number) => lastKey.data[b]! + 1 - tokens + t;
    const cache = (past: Tensor, make: (b: number, t: number, h: number, position: number) => number[]) =>
      build(past.shape, ([b, h, position, i]) => {
        const t = position! - positionOf(b!, 0);
        return t >= 0 && t < tokens ? make(b!, t, h!, position!)[i!]! : at(past, [b!, h!, position!, i!]);
      });
    const k = cache(pastK, (b, t, h, position) => turned(vector(1, b, t, h), position, cos, sin));
    const v = cache(pastV, (b, t, h) => vector(2, b, t, h));

    const mixed = new Map<string, number[]>();
    const attend = (b: number, t: number, h: number) => {
      const last = positionOf(b, t);
      const query = turned(vector(0, b, t, h), last, cos, sin);
      const kvHead = Math.floor(h / (heads / kvHeads));
      const row = (held: Tensor, p: number) => query.map((_, i) => at(held, [b, kvHead, p, i]));
      const first = Math.max(0, last + 1 - Number(attrs.window ?? last + 1));
      const seen = Array.from({ length: last + 1 - first }, (_, i) => first + i);
      const factor = Number(attrs.scale ?? 1 / Math.sqrt(headDim));
      const cap = Number(attrs.softcap ?? 0);
      const capped = (s: number) => (cap ? cap * Math.tanh(s / cap) : s);
      const scores = seen.map((p) => capped(sum(row(k, p).map((x, i) => x * query[i]!)) * factor));
      return softmaxMix(scores, seen.map((p) => row(v, p))); // biome-ignore format: one idea
    };
    const y = build(shape!, ([b, t, c]) => {
      const h = Math.floor(c! / headDim);
      const key = `${b} ${t} ${h}`;
      const made = mixed.get(key) ?? attend(b!, t!, h);
      mixed.set(key, made);
      return made[c! % headDim]!;
    });
    return [y, k, v];
  },

  topK: ({ inputs: [x], attrs }) => {
    const most = (row: number[]) => ranked(row).slice(0, Number(attrs.k));
    return [mapRows(x!, (row) => most(row).map((i) => row[i]!)), mapRows(x!, most)];
  },

  logSumExp: ({ inputs: [x] }) => [
    mapRows(x!, (row) => {
      const peak = Math.max(...row);
      return [peak + Math.log(sum(row.map((v) => Math.exp(v - peak))))];
    }),
  ],

  adjustLogits: ({ inputs: [x, ids, repetition, more] }) => {
    const data = x!.data.slice();
    const [count, width] = [ids!.shape[1]!, x!.shape[1]!];
    for (let i = 0; i < size(ids!.shape); i++) {
      const place = Math.floor(i / count) * width + ids!.data[i]!;
      const logit = x!.data[place]!;
      const penalised = logit > 0 ? logit / repetition!.data[i]! : logit * repetition!.data[i]!;
      data[place] = penalised + more!.data[i]!;
    }
    return [{ shape: x!.shape, data }];
  },
};
