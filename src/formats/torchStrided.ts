// Gathers a tensor that does not lie row by row in its storage (a transposed or cut one) into one that does.

/** One dimension: how many, and how far apart they lie where they are and where they go. */
export interface Axis {
  length: number;
  from: number;
  to: number;
}

/** As many elements as are read at once: 4 MiB of float32, as for other tensors. */
const pieceElements = 1 << 20;
/** Reads that hold less than one wanted element in this many are split, down to pieces that cost next to nothing. */
const worstWaste = 64;
const cheapElements = 1 << 14;

/** The axes of a shape, and its elements row by row where they go. */
export function axesOf(shape: readonly number[], strides: readonly number[]): Axis[] {
  let to = 1;
  return shape
    .map((length, i) => ({ length, from: strides[i]! }))
    .reverse()
    .map((axis) => {
      const placed = { ...axis, to };
      to *= axis.length;
      return placed;
    })
    .reverse();
}

/** Whether the elements lie row by row without holes. */
export function isContiguous(axes: readonly Axis[]): boolean {
  return axes.some(({ length }) => length === 0) || axes.every(({ length, from, to }) => length === 1 || from === to);
}

type Numbers = Float32Array | Uint8Array;

/**
 * Copies the elements of a box to `out`, reading pieces of bounded length.
 * @param load elements [start, start + count) of the storage
 */
export async function gather<T extends Numbers>(
  load: (start: number, count: number) => Promise<T>,
  axes: readonly Axis[],
  start: number,
  out: T,
): Promise<void> {
  if (out.length === 0) return;
  const pending = [{ axes: axes.filter(({ length }) => length > 1), start, to: 0 }];
  for (let box = pending.pop(); box; box = pending.pop()) {
    const span = box.axes.reduce((sum, { length, from }) => sum + (length - 1) * from, 1);
    const wanted = box.axes.reduce((product, { length }) => product * length, 1);
    const wasteful = span > cheapElements && span > wanted * worstWaste;
    const widest = box.axes.reduce((best, axis, i) => (axis.from > (box!.axes[best]?.from ?? -1) ? i : best), 0);
    if ((span <= pieceElements && !wasteful) || !box.axes[widest]) {
      copyBox(await load(box.start, span), 0, box.axes, 0, out, box.to);
      continue;
    }
    const { length, from, to } = box.axes[widest];
    const half = length >> 1;
    const part = (size: number) => box!.axes.map((axis, i) => (i === widest ? { ...axis, length: size } : axis));
    // Last in, first out: the first half is read first.
    pending.push({ axes: part(length - half), start: box.start + half * from, to: box.to + half * to });
    pending.push({ axes: part(half), start: box.start, to: box.to });
  }
}

function copyBox<T extends Numbers>(
  src: T,
  from: number,
  axes: readonly Axis[],
  level: number,
  out: T,
  to: number,
): void {
  const axis = axes[level];
  if (!axis) {
    out[to] = src[from]!;
    return;
  }
  if (level === axes.length - 1) {
    for (let i = 0; i < axis.length; i++) out[to + i * axis.to] = src[from + i * axis.from]!;
    return;
  }
  for (let i = 0; i < axis.length; i++) copyBox(src, from + i * axis.from, axes, level + 1, out, to + i * axis.to);
}
