// A small graph in the making: inputs with random feeds, some of them to be differentiated by.
import { createRng } from '../../src/base/index.ts';
import { type Dim, input, resolveShape, type Shape, type Value } from '../../src/graph/index.ts';
import { build, randomTensor, type Tensor } from './tensor.ts';

/** A size, and whether the graph knows it only by a symbol. */
export interface Axis {
  size: number;
  symbolic: boolean;
}

export class Scene {
  readonly feeds: Record<string, Tensor> = {};
  readonly wrt: Value[] = [];
  private readonly sizes: Record<string, number> = {};
  private readonly uniform: () => number;

  constructor(seed: number) {
    this.uniform = createRng(seed).uniform;
  }

  /** The graph's name of an axis: its size, or `symbol`. */
  dim(symbol: string, axis: Axis): Dim {
    this.sizes[symbol] = axis.size;
    return axis.symbolic ? symbol : axis.size;
  }

  dims(axes: readonly Axis[]): Dim[] {
    return axes.map((axis, i) => this.dim(`s${i}`, axis));
  }

  /** An input that is differentiated by. */
  variable(name: string, shape: Shape): Value {
    const v = this.constant(name, shape);
    this.wrt.push(v);
    return v;
  }

  constant(name: string, shape: Shape): Value {
    this.feeds[name] = randomTensor(resolveShape(shape, this.sizes), this.uniform);
    return input(name, shape);
  }

  /** Whole numbers below `limit`, with repetitions. */
  indices(name: string, shape: Shape, limit: number): Value {
    this.feeds[name] = build(resolveShape(shape, this.sizes), () => Math.floor(this.uniform() * limit));
    return input(name, shape, 'int64');
  }
}
