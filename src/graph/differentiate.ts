// From a forward computation to (forward, backward): reverse-mode differentiation, then the cut between the two.
import { gradients } from './gradients.ts';
import { add } from './ops.ts';
import { input, isInput, makeNode, type Node, topological, type Value } from './value.ts';

/**
 * Gradients of sum_i <outputs[i].value, outputs[i].seed> with respect to `wrt`, as values of the same graph.
 * @throws Error naming the op when a path leads through an op that has no gradient.
 */
export function grad(outputs: readonly { value: Value; seed: Value }[], wrt: readonly Value[]): Map<Value, Value> {
  const order = topological(outputs.map((o) => o.value));
  const wanted = new Set<Node>(wrt.map((v) => v.node));
  for (const node of order) if (node.inputs.some((i) => wanted.has(i.node))) wanted.add(node);

  const sums = new Map<Value, Value>();
  const accumulate = (v: Value, g: Value) => {
    const held = sums.get(v);
    sums.set(v, held ? add(held, g) : g);
  };
  for (const { value, seed } of outputs) accumulate(value, seed);

  for (const node of order.reverse()) {
    if (!wanted.has(node) || node.inputs.length === 0) continue;
    const grads = node.outputs.map((o) => sums.get(o));
    if (grads.every((g) => !g)) continue;
    const flags = node.inputs.map((i) => wanted.has(i.node));
    if (!flags.some(Boolean)) continue;
    const rule = gradients[node.op];
    if (!rule) throw new Error(`${node.op} has no gradient`);
    const made = rule(node, grads, flags);
    node.inputs.forEach((v, i) => {
      if (!flags[i]) return;
      // A gradient that is silently missing would be a sum that is silently wrong.
      if (!made[i]) throw new Error(`${node.op} has no gradient for its input ${i}`);
      accumulate(v, made[i]);
    });
  }
  return new Map(wrt.flatMap((v) => (sums.has(v) ? [[v, sums.get(v)!] as const] : [])));
}

/** Ops that cost less to do again than to keep: their results are not stored for the backward pass. */
const cheap = new Set([
  'reshape',
  'transpose',
  'split',
  'concat',
  'silu',
  'sigmoid',
  'mul',
  'rmsNorm',
  'causalMask',
  'scalar',
  // Dear, but its result is what 4 bits are there to avoid.
  'unpackInt4',
  'expandBlocks4',
]);

export interface Cut {
  /** Forward values that the backward pass needs, by the name of its input: outputs of the forward program. */
  saved: Map<string, Value>;
  /** The backward's results, rewritten so that they depend only on inputs. */
  results: Map<string, Value>;
}

/**
 * Cuts `results` (gradients by name) loose from the forward computation `outputs`: each forward value they use becomes
 * an input named `saved0`, `saved1`, ... unless it is an input already or cheap to compute again (`recompute`: all are).
 */
export function cutBackward(
  outputs: readonly Value[],
  results: ReadonlyMap<string, Value>,
  options: { recompute?: boolean } = {},
): Cut {
  const forward = new Set(topological(outputs));
  const saved = new Map<string, Value>();
  const replaced = new Map<Value, Value>();
  const copies = new Map<Node, Node>();

  const rewrite = (v: Value): Value => {
    if (isInput(v)) return v;
    const held = replaced.get(v);
    if (held) return held;
    let made: Value;
    const again = options.recompute || cheap.has(v.node.op) || v.node.attrs.again;
    if (forward.has(v.node) && !again) {
      const name = `saved${saved.size}`;
      saved.set(name, v);
      made = input(name, v.shape, v.dtype);
    } else {
      let copy = copies.get(v.node);
      if (!copy) {
        copy = makeNode(v.node.op, v.node.inputs.map(rewrite), v.node.attrs, v.node.outputs);
        copies.set(v.node, copy);
      }
      made = copy.outputs[v.index]!;
    }
    replaced.set(v, made);
    return made;
  };
  return { results: new Map([...results].map(([name, v]) => [name, rewrite(v)])), saved };
}
