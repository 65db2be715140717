// Sizes that may be symbolic, and the rules by which shapes combine. A symbol such as 'tokens' stands for one size
// that is known only when a program runs; equal symbols are equal sizes.
import { invariant } from '../base/index.ts';

export type Dim = number | string;
export type Shape = readonly Dim[];

export const showShape = (shape: Shape) => `[${shape.join(', ')}]`;

export const sameShape = (a: Shape, b: Shape) => a.length === b.length && a.every((d, i) => d === b[i]);

/** Raised while a graph is built: always names the op and the shapes that disagree. */
export class ShapeError extends Error {
  constructor(op: string, detail: string) {
    super(`${op}: ${detail}`);
    this.name = 'ShapeError';
  }
}

/** numpy broadcasting of two shapes. */
export function broadcast(op: string, a: Shape, b: Shape): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(op, `${showShape(a)} and ${showShape(b)} do not broadcast: ${x} against ${y}`);
    }
    return x === 1 ? y : x;
  });
}

/** The axes over which a gradient of shape `from` must be summed to get back to `to`. */
export function reducedAxes(from: Shape, to: Shape): number[] {
  const lead = from.length - to.length;
  invariant(lead >= 0, `cannot reduce ${showShape(from)} to ${showShape(to)}`);
  return from.flatMap((d, i) => (i < lead || (to[i - lead] === 1 && d !== 1) ? [i] : []));
}

/** Sum of sizes; symbols stay readable, e.g. 'past+tokens' or '3*tokens'. */
export function addDims(dims: readonly Dim[]): Dim {
  const fixed = dims.filter((d) => typeof d === 'number').reduce((a, b) => a + b, 0);
  const counts = new Map<string, number>();
  for (const d of dims) if (typeof d === 'string') counts.set(d, (counts.get(d) ?? 0) + 1);
  if (counts.size === 0) return fixed;
  return [...[...counts].map(([symbol, n]) => scaleDim(symbol, n)), ...(fixed ? [fixed] : [])].join('+');
}

/** factor * dim, e.g. '3*tokens'. */
export const scaleDim = (dim: Dim, factor: number): Dim =>
  typeof dim === 'number' ? dim * factor : factor === 1 ? dim : `${factor}*${dim}`;

/** The number behind a size, given its symbols. */
export function resolveDim(dim: Dim, sizes: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  const parts = dim.split('+').map((part) => {
    const [, factor, symbol] = /^(?:(\d+)\*)?(.*)$/.exec(part)!;
    const size = /^\d+$/.test(symbol!) ? Number(symbol) : sizes[symbol!];
    invariant(size !== undefined, `no size for ${symbol} in ${dim}`);
    return size * Number(factor ?? 1);
  });
  return parts.reduce((a, b) => a + b, 0);
}

export const resolveShape = (shape: Shape, sizes: Readonly<Record<string, number>>) =>
  shape.map((d) => resolveDim(d, sizes));

/** The fixed part and the symbols of a product of sizes: two shapes hold the same elements when both agree. */
export function elements(shape: Shape): { fixed: number; symbols: string } {
  let fixed = 1;
  const symbols: string[] = [];
  for (const d of shape) {
    if (typeof d === 'number') fixed *= d;
    else {
      const [, factor, symbol] = /^(?:(\d+)\*)?(.*)$/.exec(d)!;
      fixed *= Number(factor ?? 1);
      symbols.push(symbol!);
    }
  }
  return { fixed, symbols: symbols.sort().join(' ') };
}
