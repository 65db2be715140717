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

/** A size as a sum: the factor of each symbol, the fixed part under ''. */
function terms(dim: Dim): Map<string, number> {
  const sum = new Map<string, number>();
  for (const part of String(dim).split('+')) {
    const [, factor, symbol = ''] = /^(\d*)\*?(\D.*)?$/.exec(part)!;
    sum.set(symbol, (sum.get(symbol) ?? 0) + (factor === '' ? 1 : Number(factor)));
  }
  return sum;
}

function fromTerms(sum: ReadonlyMap<string, number>): Dim {
  const fixed = sum.get('') ?? 0;
  const symbols = [...sum].filter(([symbol, n]) => symbol && n);
  if (symbols.length === 0) return fixed;
  return [...symbols.map(([symbol, n]) => (n === 1 ? symbol : `${n}*${symbol}`)), ...(fixed ? [fixed] : [])].join('+');
}

/** Sum of sizes; symbols stay readable, e.g. 'past+tokens' or '3*tokens'. */
export function addDims(dims: readonly Dim[]): Dim {
  const sum = new Map<string, number>();
  for (const d of dims) for (const [symbol, n] of terms(d)) sum.set(symbol, (sum.get(symbol) ?? 0) + n);
  return fromTerms(sum);
}

/** factor * dim, e.g. '3*tokens'; a sum is multiplied term by term. */
export const scaleDim = (dim: Dim, factor: number): Dim =>
  fromTerms(new Map([...terms(dim)].map(([symbol, n]) => [symbol, n * factor])));

/** The number behind a size, given its symbols. */
export function resolveDim(dim: Dim, sizes: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  let total = 0;
  for (const [symbol, n] of terms(dim)) {
    const size = symbol === '' ? 1 : sizes[symbol];
    invariant(size !== undefined, `no size for ${symbol} in ${dim}`);
    total += n * size;
  }
  return total;
}

export const resolveShape = (shape: Shape, sizes: Readonly<Record<string, number>>) =>
  shape.map((d) => resolveDim(d, sizes));

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** The fixed part and the symbols of a product of sizes: two shapes hold the same elements when both agree. */
export function elements(shape: Shape): { fixed: number; symbols: string } {
  let fixed = 1;
  const symbols: string[] = [];
  for (const d of shape) {
    if (typeof d === 'number') fixed *= d;
    else {
      // 2*past+2*tokens is 2 times (past+tokens).
      const sum = [...terms(d)].sort();
      const common = sum.map(([, n]) => n).reduce(gcd);
      fixed *= common;
      symbols.push(String(fromTerms(new Map(sum.map(([symbol, n]) => [symbol, n / common])))));
    }
  }
  return { fixed, symbols: symbols.sort().join(' ') };
}
