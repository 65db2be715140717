// The nodes of a computation. A value knows the node that made it, so a graph is just its outputs: nothing is
// registered anywhere, and what no output needs does not exist.
import type { Dim, Shape } from './shape.ts';

/** float16 is for storage only: programs cast it. */
export type DType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8';

/** What an op may carry besides its inputs. */
export type Attrs = Readonly<
  Record<string, number | string | boolean | readonly number[] | readonly Dim[] | undefined>
>;

export interface Node {
  readonly id: number;
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attrs: Attrs;
  readonly outputs: readonly Value[];
}

export interface Value {
  readonly node: Node;
  /** Which output of `node` this is. */
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;
}

let nextId = 0;

export function makeNode(
  op: string,
  inputs: readonly Value[],
  attrs: Attrs,
  outputs: readonly { dtype: DType; shape: Shape }[],
): Node {
  const made: Value[] = [];
  const node: Node = { id: nextId++, op, inputs, attrs, outputs: made };
  outputs.forEach((o, index) => {
    made.push({ node, index, dtype: o.dtype, shape: o.shape });
  });
  return node;
}

/** A named input of a program. */
export function input(name: string, shape: Shape, dtype: DType = 'float32'): Value {
  return makeNode('input', [], { name }, [{ dtype, shape }]).outputs[0]!;
}

/** A float32 scalar. */
export function scalar(value: number): Value {
  return makeNode('scalar', [], { value }, [{ dtype: 'float32', shape: [] }]).outputs[0]!;
}

export const isInput = (value: Value) => value.node.op === 'input';
export const inputName = (value: Value) => value.node.attrs.name as string;

/** Every node that `outputs` depend on, inputs before users. */
export function topological(outputs: Iterable<Value>): Node[] {
  const seen = new Set<Node>();
  const order: Node[] = [];
  const visit = (node: Node) => {
    if (seen.has(node)) return;
    seen.add(node);
    for (const i of node.inputs) visit(i.node);
    order.push(node);
  };
  for (const v of outputs) visit(v.node);
  return order;
}
