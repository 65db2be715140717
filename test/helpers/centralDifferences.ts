// Numerical gradients in float64, to hold a graph's gradients against.
import { inputName, type Value } from '../../src/graph/index.ts';
import { evaluate, type Feeds } from './referenceEvaluator.ts';
import type { Tensor } from './tensor.ts';

const step = 1e-5;

export const dot = (a: Tensor, b: Tensor) => a.data.reduce((sum, x, i) => sum + x * b.data[i]!, 0);

/** sum_i <outputs[i], seeds[i]> */
export function projected(outputs: readonly Value[], seeds: readonly Tensor[], feeds: Feeds): number {
  return evaluate(outputs, feeds).reduce((sum, t, i) => sum + dot(t, seeds[i]!), 0);
}

/** The slope of `projected` when the named inputs move along `directions`. */
export function slope(
  outputs: readonly Value[],
  seeds: readonly Tensor[],
  feeds: Feeds,
  directions: Readonly<Record<string, Tensor>>,
): number {
  const moved = (by: number): Feeds => ({
    ...feeds,
    ...Object.fromEntries(
      Object.entries(directions).map(([name, d]) => {
        const from = feeds[name]!;
        return [name, { shape: from.shape, data: from.data.map((x, i) => x + by * d.data[i]!) }];
      }),
    ),
  });
  return (projected(outputs, seeds, moved(step)) - projected(outputs, seeds, moved(-step))) / (2 * step);
}

/** The gradient of `projected` with respect to an input, element by element. */
export function numericalGradient(
  outputs: readonly Value[],
  seeds: readonly Tensor[],
  feeds: Feeds,
  by: Value,
): number[] {
  const { shape, data } = feeds[inputName(by)]!;
  return data.map((_, i) => {
    const unit: Tensor = { shape, data: data.map((_, j) => (i === j ? 1 : 0)) };
    return slope(outputs, seeds, feeds, { [inputName(by)]: unit });
  });
}
