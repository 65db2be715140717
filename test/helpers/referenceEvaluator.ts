// Evaluates graph values in float64 with plain arrays, one op at a time: slow, obvious, and independent of the engine.
import { type Node, resolveShape, topological, type Value } from '../../src/graph/index.ts';
import { referenceOps } from './referenceOps.ts';
import { size, type Tensor } from './tensor.ts';

/** What the inputs of a graph are fed with, by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** Learns the sizes of symbols from a fed shape; dims that are sums are checked by `evaluate` once all are known. */
function learnSizes(sizes: Record<string, number>, name: string, value: Value, fed: Tensor): void {
  if (value.shape.length !== fed.shape.length) throw new Error(`${name}: fed [${fed.shape}] for [${value.shape}]`);
  value.shape.forEach((dim, i) => {
    const [, factor, symbol] = /^(?:(\d+)\*)?([^+\d][^+]*)$/.exec(String(dim)) ?? [];
    if (symbol === undefined) return;
    const size = fed.shape[i]! / Number(factor ?? 1);
    sizes[symbol] ??= size;
    if (sizes[symbol] !== size || size % 1 !== 0) throw new Error(`${name}: ${symbol} is ${sizes[symbol]} and ${size}`);
  });
}

/**
 * The tensors behind `values`. Every node's results are held against the shapes that the graph declares.
 * @throws Error when a feed is missing, does not fit, or an op is unknown.
 */
export function evaluate(values: readonly Value[], feeds: Feeds): Tensor[] {
  const order = topological(values);
  const fed = (node: Node): Tensor => {
    const name = node.attrs.name as string;
    const tensor = feeds[name];
    if (!tensor) throw new Error(`nothing fed to ${name}`);
    return tensor;
  };
  const sizes: Record<string, number> = {};
  for (const n of order) if (n.op === 'input') learnSizes(sizes, n.attrs.name as string, n.outputs[0]!, fed(n));

  const results = new Map<Value, Tensor>();
  for (const node of order) {
    const shapes = node.outputs.map((v) => resolveShape(v.shape, sizes));
    const rule = referenceOps[node.op];
    if (!rule && node.op !== 'input') throw new Error(`no reference for ${node.op}`);
    const inputs = node.inputs.map((v) => results.get(v)!);
    const made = rule ? rule({ inputs, attrs: node.attrs, shapes }) : [fed(node)];
    node.outputs.forEach((v, i) => {
      const tensor = made[i]!;
      if (tensor.shape.join() !== shapes[i]!.join() || tensor.data.length !== size(tensor.shape)) {
        throw new Error(`${node.op}: made [${tensor.shape}] (${tensor.data.length}), declared [${shapes[i]}]`);
      }
      results.set(v, tensor);
    });
  }
  return values.map((v) => results.get(v)!);
}

/** `evaluate` for named outputs. */
export function evaluateNamed(outputs: Readonly<Record<string, Value>>, feeds: Feeds): Record<string, Tensor> {
  const made = evaluate(Object.values(outputs), feeds);
  return Object.fromEntries(Object.keys(outputs).map((name, i) => [name, made[i]!]));
}
