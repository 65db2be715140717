// A small graph in the making: inputs with random feeds, some of them to be differentiated by.
import { createRng } from '../../src/base/index.ts';
import {
  type Dim,
  type DType,
  input,
  type Nf4Matrix,
  resolveShape,
  type Shape,
  type Value,
} from '../../src/graph/index.ts';
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

  /** An input with these values. */
  given(name: string, shape: Shape, data: number[], dtype: DType = 'int64'): Value {
    this.feeds[name] = { shape: resolveShape(shape, this.sizes), data };
    return input(name, shape, dtype);
  }

  /**
   * Rows 1 and 2 of four are followed by rows of their own: row 1 comes up three times and row 2 twice in eight places.
   * Which index that is, and the repetition that it makes.
   */
  repetition() {
    const [n, m] = [this.dim('n', { size: 4, symbolic: true }), this.dim('m', { size: 7, symbolic: true })];
    const [copies, shared] = [
      this.dim('copies', { size: 2, symbolic: true }),
      this.dim('shared', { size: 2, symbolic: true }),
    ];
    return {
      table: [n, 3] as Shape,
      rows: [m, 3] as Shape,
      index: this.given('index', [m], [1, 2, 1, 0, 2, 3, 1]),
      repetition: {
        own: this.given('own', [n], [3, 0, 1, 5]),
        shared: this.given('shared', [shared], [1, 2]),
        copies: this.given('copies', [copies, shared], [2, 4, 6, 0]),
        mask: this.given('mask', [copies, shared, 1], [1, 1, 1, 0], 'float32'),
      },
    };
  }

  /** A matrix of random codes. */
  nf4(name: string, out: number, inner: number, block: number): Nf4Matrix {
    const { shape } = this.indices(`${name}.codes`, [Math.ceil((out * inner) / 2)], 256);
    return {
      codes: input(`${name}.codes`, shape, 'uint8'),
      scales: this.constant(`${name}.scales`, [Math.ceil((out * inner) / block)]),
      out,
      in: inner,
      block,
    };
  }

  /** Whole numbers below `limit`, with repetitions. */
  indices(name: string, shape: Shape, limit: number): Value {
    this.feeds[name] = build(resolveShape(shape, this.sizes), () => Math.floor(this.uniform() * limit));
    return input(name, shape, 'int64');
  }
}
