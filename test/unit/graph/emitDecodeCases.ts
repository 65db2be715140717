// The cases of the ops that only generation needs: see emitCases.ts.
import {
  adjustLogits,
  type CachedAttention,
  cachedAttention,
  type DType,
  embedTokens,
  input,
  joinRows,
  logSumExp,
  mul,
  nBitsLinear,
  type Shape,
  splitRows,
  toFloat,
  topK,
  type Value,
} from '../../../src/graph/index.ts';
import type { Scene } from '../../helpers/scene.ts';
import { build, mapRows, size } from '../../helpers/tensor.ts';
import type { EmitCase } from './emitCases.ts';
import { nBits, wholeRows } from './nBits.ts';

const symbol = (s: Scene, name: string, n: number) => s.dim(name, { size: n, symbolic: true });

/** Numbers of any type: `low` and up by `step`. */
function counted(s: Scene, name: string, shape: Shape, dtype: DType, low: number, step = 1): Value {
  s.constant(name, shape);
  const { shape: sizes } = s.feeds[name]!;
  s.feeds[name] = { shape: sizes, data: Array.from({ length: size(sizes) }, (_, i) => low + i * step) };
  return input(name, shape, dtype);
}

interface AttentionScene {
  batch: number;
  tokens: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  packed: boolean;
  /** Index of the last key of each sequence. */
  last: readonly number[];
  /** What other architectures do to scores. */
  traits?: Pick<CachedAttention, 'scale' | 'softcap' | 'window'>;
}

/**
 * Attention over a past of random numbers, also behind what the sequences have: nobody may look at them. There the
 * caches that come out are of no meaning, and masked.
 */
function attentionScene(s: Scene, name: string, a: AttentionScene): Record<string, Value> {
  const [batch, tokens] = [symbol(s, `${name}.batch`, a.batch), symbol(s, `${name}.tokens`, a.tokens)];
  const total = Math.max(...a.last) + 1;
  const capacity = symbol(s, `${name}.capacity`, total + 2);
  const positions = symbol(s, `${name}.positions`, total + 5);
  const float = (part: string, shape: Shape) => s.constant(`${name}.${part}`, shape);
  const cache: Shape = [batch, a.kvHeads, capacity, a.headDim];
  const heads = (count: number): Shape => [batch, tokens, count * a.headDim];
  const o: CachedAttention = {
    qkv: a.packed
      ? [float('qkv', heads(a.heads + 2 * a.kvHeads))]
      : [float('q', heads(a.heads)), float('k', heads(a.kvHeads)), float('v', heads(a.kvHeads))],
    pastK: float('pastK', cache),
    pastV: float('pastV', cache),
    lastKey: s.given(`${name}.last`, [batch], [...a.last], 'int32'),
    total: s.given(`${name}.total`, [], [total], 'int32'),
    cos: float('cos', [positions, a.headDim / 2]),
    sin: float('sin', [positions, a.headDim / 2]),
    heads: a.heads,
    kvHeads: a.kvHeads,
    ...a.traits,
  };
  const known = build([a.batch, 1, total + 2, 1], ([b, , position]) => (position! <= a.last[b]! ? 1 : 0));
  const mask = s.given(`${name}.mask`, [batch, 1, capacity, 1], [...known.data], 'float32');
  const { y, k, v } = cachedAttention(o);
  return { [`${name}.y`]: y, [`${name}.k`]: mul(k, mask), [`${name}.v`]: mul(v, mask) };
}

export const emitDecodeCases: Readonly<Record<string, EmitCase>> = {
  toFloat: {
    make(s, n) {
      const shape = [symbol(s, 'n', n), 3];
      return {
        half: toFloat(counted(s, 'half', shape, 'float16', -1.5, 0.25)),
        single: toFloat(counted(s, 'single', shape, 'float32', -1.5, 0.3125)),
        signed: toFloat(counted(s, 'signed', shape, 'int8', -128, 17)),
        unsigned: toFloat(counted(s, 'unsigned', shape, 'uint8', 3, 18)),
        short: toFloat(counted(s, 'short', shape, 'int32', -70_000, 12_345)),
        long: toFloat(counted(s, 'long', shape, 'int64', -70_000, 12_345)),
      };
    },
    tolerance: 0,
  },

  embedTokens: {
    make(s, n) {
      const one = s.indices('one', [1, symbol(s, 'n', n)], 7);
      const several = s.indices('several', ['n', 3], 7);
      const ids = s.indices('next', ['n', 1], 7);
      return {
        single: embedTokens(counted(s, 'single', [7, 4], 'float32', -3, 0.3125), one),
        half: embedTokens(counted(s, 'half', [7, 4], 'float16', -3, 0.25), several),
        codes: embedTokens(counted(s, 'codes', [7, 4], 'int8', -14), ids),
      };
    },
    tolerance: 0,
  },

  joinRows: {
    make(s, n) {
      symbol(s, 'rows', 3 * n);
      // What is fed tells how many rows there are.
      const row = s.constant('row', ['rows', 1]);
      const x = s.constant('x', [symbol(s, 'n', n), 3, 4]);
      return {
        joined: joinRows(x),
        used: mul(joinRows(x), row),
        codes: joinRows(counted(s, 'codes', [3, 'n', 2], 'int8', -9)),
      };
    },
  },

  splitRows: {
    make(s, n) {
      const x = s.constant('x', [symbol(s, 'rows', 3 * n), 5]);
      const codes = counted(s, 'codes', ['rows', 2], 'int8', -9);
      const like = s.constant('like', [symbol(s, 'n', n), 3, 2]);
      const ids = s.indices('ids', [3, 'n'], 9);
      return { batched: splitRows(x, like), again: splitRows(codes, like), byIds: splitRows(x, ids) };
    },
  },

  nBitsLinear: {
    make(s, n) {
      const rows = wholeRows(s, 'rows', [symbol(s, 'n', n), 64]);
      const deep = wholeRows(s, 'deep', [2, 'n', 64]);
      // Equal numbers, so that the means are whole too.
      const even = counted(s, 'even', [2, 'n', 64], 'float32', 3, 0);
      const fine = s.constant('fine', [2, 'n', 64]);
      const narrow = wholeRows(s, 'narrow', ['n', 1, 20]);
      return {
        four: nBitsLinear(rows, nBits(s, 'four', { out: 5, in: 64, bits: 4, block: 16 })),
        eight: nBitsLinear(rows, nBits(s, 'eight', { out: 33, in: 64, bits: 8, block: 32 })),
        wide: nBitsLinear(rows, nBits(s, 'wide', { out: 1, in: 64, bits: 4, block: 64 })),
        // 66 columns are three blocks of 32: half a byte of the zero points is left over, as are 30 codes.
        fourMeans: nBitsLinear(even, nBits(s, 'fourMeans', { out: 16, in: 66, bits: 4, block: 32, means: true })),
        eightMeans: nBitsLinear(even, nBits(s, 'eightMeans', { out: 7, in: 68, bits: 8, block: 16, means: true })),
        eightDeep: nBitsLinear(deep, nBits(s, 'eightDeep', { out: 7, in: 64, bits: 8, block: 16 })),
        eightFine: nBitsLinear(fine, nBits(s, 'eightFine', { out: 7, in: 66, bits: 8, block: 32, means: true }), {
          fine: true,
        }),
        fourFine: nBitsLinear(fine, nBits(s, 'fourFine', { out: 5, in: 64, bits: 4, block: 16 }), { fine: true }),
        fourNarrow: nBitsLinear(narrow, nBits(s, 'fourNarrow', { out: 6, in: 20, bits: 4, block: 128 })),
        eightNarrow: nBitsLinear(narrow, nBits(s, 'eightNarrow', { out: 6, in: 20, bits: 8, block: 32 })),
      };
    },
  },

  cachedAttention: {
    make(s, n) {
      const small = { heads: 4, kvHeads: 2, headDim: 16 };
      const odd = { heads: 3, kvHeads: 1, headDim: 32 };
      const equal = { heads: 2, kvHeads: 2, headDim: 16 };
      const traits = { scale: 0.2, softcap: 1.5, window: 3 };
      const pasts = [4, 0, 7, 2, 9].slice(0, n);
      return {
        ...attentionScene(s, 'next', { ...small, batch: n, tokens: 1, packed: true, last: pasts }),
        ...attentionScene(s, 'nextApart', { ...odd, batch: n, tokens: 1, packed: false, last: pasts }),
        ...attentionScene(s, 'chunk', { ...odd, batch: 1, tokens: n, packed: true, last: [n + 2] }),
        ...attentionScene(s, 'chunkApart', { ...small, batch: 1, tokens: n, packed: false, last: [n + 2] }),
        ...attentionScene(s, 'prompt', { ...small, batch: 1, tokens: n, packed: true, last: [n - 1] }),
        ...attentionScene(s, 'promptApart', { ...equal, batch: 1, tokens: n, packed: false, last: [n - 1] }),
        ...attentionScene(s, 'nextWindow', { ...small, batch: n, tokens: 1, packed: false, last: pasts, traits }),
        ...attentionScene(s, 'chunkWindow', { ...odd, batch: 1, tokens: n, packed: true, last: [n + 2], traits }),
        ...attentionScene(s, 'promptWindow', { ...equal, batch: 1, tokens: n, packed: true, last: [n - 1], traits }),
      };
    },
  },

  // Many equal numbers; few and many of few and many, for which the kernel goes different ways.
  topK: {
    make(s, n) {
      const stepped = (name: string, width: number, steps: number) => {
        const x = s.constant(name, [symbol(s, 'n', n), width]);
        s.feeds[name] = mapRows(s.feeds[name]!, (row) => row.map((v) => Math.round(v * steps)));
        return x;
      };
      const [narrow, wide] = [stepped('narrow', 40, 3), stepped('wide', 3000, 40)];
      const picks = { one: topK(narrow, 1), few: topK(narrow, 5), most: topK(narrow, 30), all: topK(narrow, 40) };
      const wider = {
        wideOne: topK(wide, 1),
        wideFew: topK(wide, 3),
        wideSome: topK(wide, 50),
        wideMost: topK(wide, 2000),
      };
      return Object.fromEntries(
        Object.entries({ ...picks, ...wider }).flatMap(([name, { values, indices }]) => [
          [`${name}.values`, values],
          [`${name}.indices`, indices],
        ]),
      );
    },
    tolerance: 0,
  },

  logSumExp: {
    make(s, n) {
      const wide = s.constant('wide', [symbol(s, 'n', n), 7]);
      s.feeds.wide = mapRows(s.feeds.wide!, (row) => row.map((v) => v * 300));
      return {
        some: logSumExp(s.constant('x', ['n', 50])),
        wide: logSumExp(wide),
        one: logSumExp(s.constant('one', ['n', 1])),
      };
    },
  },

  adjustLogits: {
    make(s, n) {
      const x = s.constant('x', [symbol(s, 'n', n), 9]);
      s.feeds.x = mapRows(s.feeds.x!, (row) => row.with(3, 0));
      const change = (name: string, shape: Shape, limit: number) => {
        const ids = s.indices(`${name}.ids`, shape, limit);
        const factor = (f: (id: number) => number) => s.feeds[`${name}.ids`]!.data.map(f);
        const repetition = s.given(`${name}.repetition`, shape, factor((id) => 0.75 + id / 8), 'float32'); // biome-ignore format: one idea
        const more = s.given(`${name}.more`, shape, factor((id) => ((id % 3) - 1) * 1.5), 'float32'); // biome-ignore format: one idea
        return adjustLogits(x, ids, repetition, more);
      };
      return {
        few: change('few', ['n', 2], 9),
        // With repetitions; all of the same id; and none at all when n is 1.
        many: change('many', ['n', 12], 9),
        same: change('same', ['n', 4], 1),
        perhaps: change('perhaps', ['n', symbol(s, 'm', n - 1)], 9),
      };
    },
  },
};
