// What the names of programs tell a profile: which of them make a training step, and which part of it they are.

/** Programs of loading, of evaluation and of probes; a step never runs them. */
const elsewhere = /(^|\.)plain(\.|$)|^(lossOnly|prepare|int8Probe|ceiling|logits|layer)(\.|$)/;

/** Whether a program can be part of a training step. */
export const isStepProgram = (name: string): boolean => !elsewhere.test(name);

const parts: Readonly<Record<string, string>> = {
  before: 'before attention',
  after: 'after attention',
  mask: 'attention',
  loss: 'head and loss',
  embed: 'gather, scatter',
  gatherRows: 'gather, scatter',
  scatterRows: 'gather, scatter',
};

/** The part of a step that a program belongs to, for people: 'after.first.forward' is 'after attention'. */
export function stepPart(name: string): string {
  const first = name.split('.')[0]!;
  return Object.hasOwn(parts, first) ? parts[first]! : first;
}
