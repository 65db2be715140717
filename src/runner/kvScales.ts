// The scales of keys and values that are held in 8 bits: a fixed one for each column, found by looking at a text.

/** Before anything was seen: codes reach to about 12. */
export const firstScale = 0.1;

/** What a text shows may be exceeded by other texts, and by adapters. */
const margin = 1.5;
/** The most that a look changes: three of them reach every scale from a 4000th of the first to 4000 times as much. */
const most = 16;

/**
 * Better scales after a look at what they made of a text.
 * @param codes [heads, tokens, headDim]. @param scales [heads * headDim], the ones that the codes were made with.
 * @param pairs keys: elements i and i + headDim / 2 of a head turn around each other with the position, so both get the
 *   scale for the length of the pair.
 */
export function betterScales(
  codes: Int8Array,
  scales: Float32Array,
  { headDim, pairs }: { headDim: number; pairs: boolean },
): Float32Array {
  const heads = scales.length / headDim;
  const tokens = codes.length / scales.length;
  const largest = new Float32Array(scales.length);
  const clipped = new Uint8Array(scales.length);
  const half = headDim / 2;
  for (let head = 0; head < heads; head++) {
    for (let t = 0; t < tokens; t++) {
      const at = (head * tokens + t) * headDim;
      for (let i = 0; i < headDim; i++) {
        const column = head * headDim + i;
        const code = codes[at + i]!;
        const value = code * scales[column]!;
        const other = i < half ? i + half : i - half;
        const partner = pairs ? codes[at + other]! * scales[head * headDim + other]! : 0;
        largest[column] = Math.max(largest[column]!, Math.hypot(value, partner));
        if (code < 127 && code > -127) continue;
        clipped[column] = 1;
        if (pairs) clipped[head * headDim + other] = 1;
      }
    }
  }
  return scales.map((scale, column) => {
    // Nobody knows how much was cut off: far enough that the next look sees all of it.
    if (clipped[column]) return scale * most;
    return Math.max((largest[column]! * margin) / 127, scale / most);
  });
}
