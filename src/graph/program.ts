// A program: named inputs, named outputs. What the engine compiles and runs.
import { invariant } from '../base/index.ts';
import { cutBackward, grad } from './differentiate.ts';
import { input, inputName, isInput, topological, type Value } from './value.ts';

export interface Program {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: Readonly<Record<string, Value>>;
}

/** Declares a program by its outputs; its inputs are those that the outputs use. */
export function program(name: string, outputs: Record<string, Value>): Program {
  const inputs = topological(Object.values(outputs))
    .filter((n) => n.op === 'input')
    .map((n) => n.outputs[0]!);
  const names = inputs.map(inputName);
  invariant(new Set(names).size === names.length, `${name}: two inputs share a name among ${names}`);
  const taken = names.find((n) => n in outputs);
  invariant(taken === undefined, `${name}: ${taken} is both an input and an output`);
  return { name, inputs, outputs };
}

export interface TrainingPrograms {
  /** The forward pass; hands out `saved*` values next to the outputs. */
  forward: Program;
  /** Takes `grad.<output>` for each output, `saved*` and the inputs it needs; hands out `grad.<input>`. */
  backward: Program;
  /** The saved values by name, for planning their memory. */
  saved: ReadonlyMap<string, Value>;
}

/**
 * Differentiates `outputs` with respect to `wrt` and cuts the result into a forward and a backward program.
 * @param finish may change the gradients by name before the cut, e.g. add a residual gradient.
 */
export function trainingPrograms(
  name: string,
  outputs: Record<string, Value>,
  wrt: readonly Value[],
  options: { recompute?: boolean; finish?: (grads: Map<string, Value>) => void } = {},
): TrainingPrograms {
  const seeds = Object.entries(outputs).map(([key, value]) => ({
    value,
    seed: input(`grad.${key}`, value.shape, value.dtype),
  }));
  const grads = grad(seeds, wrt);
  const named = new Map([...grads].map(([v, g]) => [`grad.${isInput(v) ? inputName(v) : v.node.id}`, g]));
  options.finish?.(named);
  const cut = cutBackward(Object.values(outputs), named, options);
  return {
    forward: program(`${name}.forward`, { ...outputs, ...Object.fromEntries(cut.saved) }),
    backward: program(`${name}.backward`, Object.fromEntries(cut.results)),
    saved: cut.saved,
  };
}
