// The programs of a model: a layer is three of them, because only attention runs once a sequence.
import { invariant } from '../base/index.ts';
import type { CompiledProgram, Runtime } from '../engine/index.ts';
import {
  add,
  causalMask,
  concat,
  crossEntropy,
  gatherRows,
  grad,
  headGrad,
  input,
  int8Linear,
  matmul,
  program,
  repeatRows,
  reshape,
  type Shape,
  scalar,
  scatterRows,
  topological,
  trainingPrograms,
  transpose,
  type Value,
} from '../graph/index.ts';
import {
  attention,
  attentionInput,
  attentionOutput,
  finalNorm,
  keyHeads,
  type LlamaConfig,
  type ModuleName,
  moduleNames,
  queryHeads,
  ropeInputs,
  softcap,
} from '../models/index.ts';
import { type Basis, normedPeak } from '../quant/index.ts';
import { type ModuleRanks, normInput, type ProjectionOptions, projections } from './projections.ts';

export const noRanks = Object.fromEntries(moduleNames.map((m) => [m, 0])) as ModuleRanks;

type Project = ReturnType<typeof projections>;

const attentionParts = (c: LlamaConfig, basis: Basis, project: Project) => ({
  norm: normInput(c, basis, 'attentionNorm'),
  q: project('q_proj'),
  k: project('k_proj'),
  v: project('v_proj'),
});

const outputParts = (c: LlamaConfig, basis: Basis, project: Project) => ({
  o: project('o_proj'),
  norm: normInput(c, basis, 'mlpNorm'),
  gate: project('gate_proj'),
  up: project('up_proj'),
  down: project('down_proj'),
  postAttentionNorm: c.postNorms ? input('postAttentionNorm', [c.hiddenSize]) : undefined,
  postMlpNorm: c.postNorms ? input('postMlpNorm', [c.hiddenSize]) : undefined,
});

/**
 * x to { q, k, v }: keys and values of a shared prefix are repeated in front of those of each branch, so that every
 * branch finds its keys in one piece, and the gradients of all branches add up.
 */
export function attentionInputOutputs(c: LlamaConfig, basis: Basis, o: ProjectionOptions): Record<string, Value> {
  const x = input('x', ['tokens', c.hiddenSize]);
  const { q, k, v } = attentionInput(c, x, attentionParts(c, basis, projections(c, basis, o)), ropeInputs(c));
  const keyRows = input('keyRows', ['keys'], 'int64');
  const repetition = {
    own: input('ownRows', ['tokens'], 'int64'),
    shared: input('sharedRows', ['shared'], 'int64'),
    copies: input('copyRows', ['copies', 'shared'], 'int64'),
    mask: input('copyMask', ['copies', 'shared', 1]),
  };
  return { q, k: repeatRows(k, keyRows, repetition), v: repeatRows(v, keyRows, repetition) };
}

/** The mask of one sequence, the same in all layers: made once a pass. */
export const maskProgram = (window?: number) => {
  const mask = windowMask(input('queryIndex', ['queries']), input('keyIndex', ['keys']), window);
  return program(window === undefined ? 'mask' : 'mask.window', { mask });
};

/** As causalMask; with a window a query sees only so many keys, its own included. */
function windowMask(queryIndex: Value, keyIndex: Value, window: number | undefined): Value {
  const causal = causalMask(queryIndex, keyIndex);
  if (window === undefined) return causal;
  // The same with the roles swapped: a key is too old when the query is more than window - 1 ahead of it.
  const old = causalMask(add(keyIndex, scalar(window - 1)), queryIndex);
  return add(causal, transpose(old, [1, 0]));
}

/**
 * `count` sequences at once, as they have nothing to do with each other: q0, k0, v0, mask0, ... to { o0, ... }.
 * One run for several sequences, because each run wakes and parks the thread pool.
 */
export function attentionOutputs(c: LlamaConfig, count: number): Record<string, Value> {
  const outputs: Record<string, Value> = {};
  for (let i = 0; i < count; i++) {
    const [queries, keys] = [`queries${i}`, `keys${i}`];
    // Declared by head: to reshape an input of a program would be to copy it.
    const q = input(`q${i}`, queryHeads(c, queries));
    const k = input(`k${i}`, keyHeads(c, keys));
    const v = input(`v${i}`, keyHeads(c, keys));
    outputs[`o${i}`] = attention(c, q, k, v, input(`mask${i}`, [queries, keys]));
  }
  return outputs;
}

/** x and o to { y }. */
export function attentionOutputOutputs(c: LlamaConfig, basis: Basis, o: ProjectionOptions): Record<string, Value> {
  const x = input('x', ['tokens', c.hiddenSize]);
  const mixed = input('o', ['tokens', c.heads * c.headDim]);
  return { y: attentionOutput(c, x, mixed, outputParts(c, basis, projections(c, basis, o))) };
}

/** A whole layer for one sequence with a key/value cache: x, pastK, pastV to { y, k, v }. */
export function cachedLayerOutputs(
  c: LlamaConfig,
  basis: Basis,
  o: ProjectionOptions,
  window?: number,
): Record<string, Value> {
  const project = projections(c, basis, o);
  const x = input('x', ['tokens', c.hiddenSize]);
  const { q, k, v } = attentionInput(c, x, attentionParts(c, basis, project), ropeInputs(c));
  const width = c.kvHeads * c.headDim;
  const past = (name: string) => input(name, ['past', width]);
  // The cache holds the past and, behind it, room for what this program hands out.
  const keys = concat([past('pastK'), k], 0);
  const values = concat([past('pastV'), v], 0);
  const mask = windowMask(input('queryIndex', ['tokens']), input('keyIndex', [keys.shape[0]!]), window);
  const byKey = (x: Value) => reshape(x, keyHeads(c, keys.shape[0]!));
  const heads = attention(c, reshape(q, queryHeads(c, 'tokens')), byKey(keys), byKey(values), mask);
  const mixed = reshape(heads, ['tokens', c.heads * c.headDim]);
  return { y: attentionOutput(c, x, mixed, outputParts(c, basis, project)), k, v };
}

/** Quantised heads keep int8 rows; with two copies also turned over, so that products need not do it. */
const headCodes = (c: LlamaConfig) => input('head.codes', [c.vocabSize, c.hiddenSize], 'int8');
const headScale = (c: LlamaConfig) => input('head.scale', [c.vocabSize]);

const headOf = (c: LlamaConfig, basis: Basis, codes = headCodes(c), scale = headScale(c)) => {
  if (basis.storage === 'float') {
    return (h: Value) => matmul(h, input('head.w', [c.vocabSize, c.hiddenSize]), { transB: true });
  }
  const turned = basis.storage === 'twoCopies';
  const w = turned ? input('head.w', [c.hiddenSize, c.vocabSize], 'int8') : transpose(codes, [1, 0]);
  return (h: Value) => int8Linear(h, { w, scale }, { peak: normedPeak });
};

const headNorm = (c: LlamaConfig, basis: Basis) =>
  basis.storage === 'float' ? input('head.norm', [c.hiddenSize]) : undefined;

/** x to { logits }. */
export function logitsOutputs(c: LlamaConfig, basis: Basis): Record<string, Value> {
  const x = input('x', ['rows', c.hiddenSize]);
  return { logits: softcap(headOf(c, basis)(finalNorm(c, x, headNorm(c, basis))), c.logitSoftcap) };
}

/**
 * Columns of the vocabulary for which a quantised head's gradient is computed one by one. On SmolLM2-135M and 256 rows an
 * eighth carries 99.4 % of the probability, and the gradient's cosine is above 0.9999.
 */
const leadingColumns = (c: LlamaConfig) => Math.min(c.vocabSize, Math.max(1024, Math.ceil(c.vocabSize / 8)));

/** Target rows x, labels and weights to { loss } and, for training, { 'grad.x' }. */
export function lossOutputs(c: LlamaConfig, basis: Basis, training: boolean): Record<string, Value> {
  const x = input('x', ['rows', c.hiddenSize]);
  const [labels, weights] = [input('labels', ['rows', 1], 'int64'), input('weights', ['rows', 1])];
  const [codes, scale] = [headCodes(c), headScale(c)];
  const h = finalNorm(c, x, headNorm(c, basis));
  const { loss, probs } = crossEntropy(softcap(headOf(c, basis, codes, scale)(h), c.logitSoftcap), labels, weights);
  if (!training) return { loss };
  if (basis.storage === 'float') return { loss, 'grad.x': grad([{ value: loss, seed: scalar(1) }], [x]).get(x)! };
  // The peak of softmax - onehot would eat the eight bits of its row: the columns that matter in float32 instead.
  const rows = { codes, scale, mean: input('head.mean', [1, c.hiddenSize]) };
  const seed = headGrad(probs, labels, weights, rows, leadingColumns(c));
  return { loss, 'grad.x': grad([{ value: h, seed }], [x]).get(x)! };
}

/** The part of a runtime that compiles. */
export type Compiler = Pick<Runtime, 'compile'>;

const rowIndex = () => input('index', ['rows'], 'int64');

/** Rows of a table, e.g. of the embedding, by index: table, index to { rows }. */
export const gatherProgram = (c: LlamaConfig) =>
  program('gatherRows', { rows: gatherRows(input('table', ['n', c.hiddenSize]), rowIndex()) });

/** Its transpose: rows, index and a tensor of the result's shape to { all }, zero elsewhere. */
export const scatterProgram = (c: LlamaConfig) => {
  const rows = input('rows', ['rows', c.hiddenSize]);
  return program('scatterRows', { all: scatterRows(rows, rowIndex(), input('like', ['tokens', c.hiddenSize])) });
};

/** A forward program with its backward, and the shapes of what passes from one to the other. */
export interface CompiledPair {
  forward: CompiledProgram;
  backward: CompiledProgram | undefined;
  saved: ReadonlyMap<string, Shape>;
  /** Hands out what the backward needs and nothing else. */
  again?: CompiledProgram;
}

const findInputs = (outputs: Record<string, Value>, names: readonly string[]): Value[] => {
  const inputs = topological(Object.values(outputs)).filter((n) => n.op === 'input');
  return names.map((name) => {
    const node = inputs.find((n) => n.attrs.name === name);
    invariant(node, `no input ${name}`);
    return node.outputs[0]!;
  });
};

export interface PairOptions {
  /** The name of an input to whose gradient a `residual` from elsewhere is added. */
  residual?: string;
  /** Compile `again` too. */
  again?: boolean;
}

/**
 * Differentiates and compiles.
 * @param wrt inputs whose gradients are wanted; none: no backward program.
 */
export async function compilePair(
  runtime: Compiler,
  name: string,
  outputs: Record<string, Value>,
  wrt: readonly string[],
  options: PairOptions = {},
): Promise<CompiledPair> {
  if (wrt.length === 0) {
    return { forward: await runtime.compile(program(name, outputs)), backward: undefined, saved: new Map() };
  }
  const { residual } = options;
  const pair = trainingPrograms(name, outputs, findInputs(outputs, wrt), {
    finish(grads) {
      const own = residual ? grads.get(`grad.${residual}`) : undefined;
      if (own) grads.set(`grad.${residual}`, add(own, input('residual', own.shape)));
    },
  });
  const again = options.again && pair.saved.size > 0;
  return {
    forward: await runtime.compile(pair.forward),
    backward: await runtime.compile(pair.backward),
    saved: new Map([...pair.saved].map(([key, v]) => [key, v.shape])),
    ...(again ? { again: await runtime.compile(program(`${name}.again`, Object.fromEntries(pair.saved))) } : {}),
  };
}

/** Names of the adapter inputs of the given modules. */
export const adapterInputs = (ranks: ModuleRanks, among: readonly ModuleName[]) =>
  among.flatMap((m) => (ranks[m] > 0 ? [`${m}.A`, `${m}.B`] : []));

export const ranksKey = (ranks: ModuleRanks) => moduleNames.map((m) => ranks[m]).join('-');
