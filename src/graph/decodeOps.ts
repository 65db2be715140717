// The ops that only generation needs: products with matrices in 4 or 8 bits for few rows, attention over a key/value cache,
// and what is looked up in a row of logits. None has a gradient.
import { need, one } from './declare.ts';
import { sameShape, showShape } from './shape.ts';
import { makeNode, type Value } from './value.ts';

/** Any number type as float32. */
export const toFloat = (x: Value) => one('toFloat', [x], {}, x.shape);

/** Rows of a table [n, width] by ids [batch, tokens] (int64), as float32 [batch, tokens, width]. */
export function embedTokens(table: Value, ids: Value): Value {
  need('embedTokens', table.shape.length === 2 && ids.shape.length === 2, () => {
    return `table ${showShape(table.shape)}, ids ${showShape(ids.shape)}`;
  });
  return one('embedTokens', [table, ids], {}, [...ids.shape, table.shape[1]!]);
}

/** [batch, tokens, width] as [rows, width]: the same memory. */
export function joinRows(x: Value): Value {
  need('joinRows', x.shape.length === 3, () => `${showShape(x.shape)} has not three axes`);
  return one('joinRows', [x], {}, ['rows', x.shape[2]!], x.dtype);
}

/** Its inverse, with the first two axes of `like`. */
export function splitRows(x: Value, like: Value): Value {
  need('splitRows', x.shape.length === 2 && like.shape.length >= 2, () => {
    return `${showShape(x.shape)} like ${showShape(like.shape)}`;
  });
  return one('splitRows', [x, like], {}, [like.shape[0]!, like.shape[1]!, x.shape[1]!], x.dtype);
}

/** A matrix [out, in] in blocks of codes along its rows, each weight (code - zeroPoint) * scale of its block. */
export interface NBitsMatrix {
  /** uint8 [out, blocks, block * bits / 8]; in 4 bits the first of two codes is in the low half. */
  codes: Value;
  /** float32 [out, blocks]. */
  scales: Value;
  /** uint8 [out, ceil(blocks * bits / 8)], packed as the codes are. */
  zeroPoints: Value;
  bits: 4 | 8;
  block: number;
  /** With the columns for means. */
  in: number;
  /** Columns behind the others that are multiplied with the means of x's blocks (`packNBits` says what for). */
  means: boolean;
}

/**
 * x [batch, tokens, width] times the transpose of a matrix in 4 or 8 bits: [batch, tokens, out]; without means and not `fine`
 * also [rows, width]. It is onnxruntime's MatMulNBits at accuracy level 4, which takes x in blocks of 8 bits where the matrix is a constant.
 * @param fine x goes in as two rows: what those 8 bits hold exactly, and the rest of it; so it counts with 15 bits.
 */
export function nBitsLinear(x: Value, m: NBitsMatrix, { fine = false }: { fine?: boolean } = {}): Value {
  const [out, blocks] = m.scales.shape as [number, number];
  const width = Number(x.shape.at(-1));
  const whole = m.means ? width + width / m.block : width;
  const deep = x.shape.length === 3 || (!m.means && !fine);
  need('nBitsLinear', deep && whole === m.in && blocks === Math.ceil(m.in / m.block), () => {
    return `${showShape(x.shape)} x [${out}, ${m.in}]ᵀ in ${blocks} blocks of ${m.block}${m.means ? ', means too' : ''}`;
  });
  need('nBitsLinear', !fine || width % m.block === 0, () => `${showShape(x.shape)} in blocks of ${m.block}`);
  const bytes = (m.block * m.bits) / 8;
  const points = Math.ceil((blocks * m.bits) / 8);
  need(
    'nBitsLinear',
    sameShape(m.codes.shape, [out, blocks, bytes]) && sameShape(m.zeroPoints.shape, [out, points]),
    () => {
      return `codes ${showShape(m.codes.shape)}, zero points ${showShape(m.zeroPoints.shape)}, scales ${showShape(m.scales.shape)}`;
    },
  );
  const attrs = { bits: m.bits, block: m.block, in: m.in, out, means: m.means, fine };
  return one('nBitsLinear', [x, m.codes, m.scales, m.zeroPoints], attrs, [...x.shape.slice(0, -1), out]);
}

export interface CachedAttention {
  /** [batch, tokens, (heads + 2 kvHeads) * headDim], or queries, keys and values apart. Not rotated yet. */
  qkv: readonly [Value] | readonly [Value, Value, Value];
  /** [batch, kvHeads, capacity, headDim]; with `scales` int8. */
  pastK: Value;
  pastV: Value;
  /** Of each column of keys and values, [kvHeads * headDim]: what is held is the nearest code to x / scale from -128 to 127. */
  scales?: { k: Value; v: Value };
  /** int32 [batch]: index of the last key that the last token of each sequence sees. */
  lastKey: Value;
  /** int32 []: the largest of them + 1. */
  total: Value;
  /** [positions, headDim / 2], positions >= capacity. */
  cos: Value;
  sin: Value;
  heads: number;
  kvHeads: number;
  /** Factor on scores; default 1 / sqrt(headDim). */
  scale?: number;
  /** Scores s become softcap * tanh(s / softcap). */
  softcap?: number;
  /** Keys that a query sees, its own included; default all. */
  window?: number;
}

/**
 * Grouped-query attention (Ainslie et al. 2023) with rotary positions and a cache: the keys and values of the new tokens
 * are put behind those of the past, in place when `k` and `v` are bound to the memory of pastK and pastV (and only then
 * is what lies behind them left as it was). With more than one new token onnxruntime takes a batch of 1.
 */
export function cachedAttention(o: CachedAttention): { y: Value; k: Value; v: Value } {
  const [batch, kvHeads, , headDim] = o.pastK.shape;
  const widths = o.qkv.length === 1 ? [o.heads + 2 * o.kvHeads] : [o.heads, o.kvHeads, o.kvHeads];
  const fits = o.qkv.every((x, i) => x.shape.length === 3 && x.shape[2] === widths[i]! * Number(headDim));
  need('cachedAttention', fits && kvHeads === o.kvHeads && sameShape(o.pastK.shape, o.pastV.shape), () => {
    const given = o.qkv.map((x) => showShape(x.shape)).join(', ');
    return `${given} for ${o.heads} heads, past ${showShape(o.pastK.shape)} and ${showShape(o.pastV.shape)}`;
  });
  need('cachedAttention', sameShape(o.lastKey.shape, [batch!]), () => `lastKey ${showShape(o.lastKey.shape)}`);
  const scales = o.scales ? [o.scales.k, o.scales.v] : [];
  const columns = o.kvHeads * Number(headDim);
  const dtype = o.scales ? 'int8' : 'float32';
  need('cachedAttention', o.pastK.dtype === dtype && scales.every((s) => sameShape(s.shape, [columns])), () => {
    return `past ${o.pastK.dtype} with scales ${scales.map((s) => showShape(s.shape)).join(', ')} for ${columns} columns`;
  });
  const [first] = o.qkv;
  const inputs = [...o.qkv, o.pastK, o.pastV, o.lastKey, o.total, o.cos, o.sin, ...scales];
  const cache = { dtype, shape: o.pastK.shape } as const;
  const node = makeNode(
    'cachedAttention',
    inputs,
    {
      heads: o.heads,
      kvHeads: o.kvHeads,
      scaled: !!o.scales,
      ...(o.scale === undefined ? {} : { scale: o.scale }),
      ...(o.softcap === undefined ? {} : { softcap: o.softcap }),
      ...(o.window === undefined ? {} : { window: o.window }),
    },
    [{ dtype: 'float32', shape: [first.shape[0]!, first.shape[1]!, o.heads * Number(headDim)] }, cache, cache],
  );
  return { y: node.outputs[0]!, k: node.outputs[1]!, v: node.outputs[2]! };
}

/** The k largest of each row of x [rows, n], falling, equal ones by rising index: values and indices (int64) [rows, k]. */
export function topK(x: Value, k: number): { values: Value; indices: Value } {
  need('topK', x.shape.length === 2 && k >= 1 && k <= Number(x.shape[1]), () => `${k} of ${showShape(x.shape)}`);
  const shape = [x.shape[0]!, k];
  const node = makeNode('topK', [x], { k }, [
    { dtype: 'float32', shape },
    { dtype: 'int64', shape },
  ]);
  return { values: node.outputs[0]!, indices: node.outputs[1]! };
}

/** ln of the sum of exp over each row of x [rows, n]: [rows, 1]. */
export function logSumExp(x: Value): Value {
  need('logSumExp', x.shape.length === 2, () => `${showShape(x.shape)} has not two axes`);
  return one('logSumExp', [x], {}, [x.shape[0]!, 1]);
}

/**
 * Changes single logits of x [rows, n]: for each id of `ids` [rows, m] (int64), l = l > 0 ? l / repetition : l * repetition,
 * then l + more. An id may come up again in a row if it is changed in the same way.
 */
export function adjustLogits(x: Value, ids: Value, repetition: Value, more: Value): Value {
  const fits = [ids, repetition, more].every((v) => sameShape(v.shape, ids.shape));
  need('adjustLogits', fits && ids.shape[0] === x.shape[0], () => {
    return `${showShape(x.shape)} by ${showShape(ids.shape)}, ${showShape(repetition.shape)}, ${showShape(more.shape)}`;
  });
  return one('adjustLogits', [x, ids, repetition, more], {}, x.shape);
}
