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
  input,
  int8Linear,
  matmul,
  program,
  type Shape,
  scalar,
  scatterRows,
  topological,
  trainingPrograms,
  type Value,
} from '../graph/index.ts';
import {
  attention,
  attentionInput,
  attentionOutput,
  type LlamaConfig,
  outputHead,
  ropeInputs,
  type SiteName,
  siteNames,
} from '../models/index.ts';
import { type Basis, normedPeak } from '../quant/index.ts';
import { normInput, projection, RotationInputs } from './projections.ts';

/** Total rank per site; 0 where nothing is adapted. */
export type SiteRanks = Readonly<Record<SiteName, number>>;
export const noRanks: SiteRanks = { qkv: 0, o: 0, gateUp: 0, down: 0 };

export interface LayerOptions {
  ranks: SiteRanks;
  dropout?: boolean;
  training?: boolean;
}

const projectionsOf = (c: LlamaConfig, basis: Basis, o: LayerOptions) => {
  const rotations = new RotationInputs();
  return (site: SiteName) =>
    projection(
      c,
      basis,
      site,
      { rank: o.ranks[site], ...(o.dropout ? { dropout: true } : {}), ...(o.training ? { training: true } : {}) },
      rotations,
    );
};

/** x to { q, k, v }. */
export function attentionInputOutputs(c: LlamaConfig, basis: Basis, o: LayerOptions): Record<string, Value> {
  const x = input('x', ['tokens', c.hiddenSize]);
  return attentionInput(c, x, normInput(c, basis, 'qkv'), projectionsOf(c, basis, o)('qkv'), ropeInputs(c));
}

/** One sequence: q, k, v and the indices that order them to { o }. */
export function attentionOutputs(c: LlamaConfig): Record<string, Value> {
  const q = input('q', ['queries', c.heads * c.headDim]);
  const k = input('k', ['keys', c.kvHeads * c.headDim]);
  const v = input('v', ['keys', c.kvHeads * c.headDim]);
  const mask = causalMask(input('queryIndex', ['queries']), input('keyIndex', ['keys']));
  return { o: attention(c, q, k, v, mask) };
}

/** x and o to { y }. */
export function attentionOutputOutputs(c: LlamaConfig, basis: Basis, o: LayerOptions): Record<string, Value> {
  const site = projectionsOf(c, basis, o);
  const x = input('x', ['tokens', c.hiddenSize]);
  const mixed = input('o', ['tokens', c.heads * c.headDim]);
  const layer = { o: site('o'), norm: normInput(c, basis, 'gateUp'), gateUp: site('gateUp'), down: site('down') };
  return { y: attentionOutput(c, x, mixed, layer) };
}

/** A whole layer for one sequence with a key/value cache: x, pastK, pastV to { y, k, v }. */
export function cachedLayerOutputs(c: LlamaConfig, basis: Basis, o: LayerOptions): Record<string, Value> {
  const site = projectionsOf(c, basis, o);
  const x = input('x', ['tokens', c.hiddenSize]);
  const { q, k, v } = attentionInput(c, x, normInput(c, basis, 'qkv'), site('qkv'), ropeInputs(c));
  const width = c.kvHeads * c.headDim;
  const past = (name: string) => input(name, ['past', width]);
  // The cache holds the past and, behind it, room for what this program hands out.
  const keys = concat([past('pastK'), k], 0);
  const values = concat([past('pastV'), v], 0);
  const mask = causalMask(input('queryIndex', ['tokens']), input('keyIndex', [keys.shape[0]!]));
  const mixed = attention(c, q, keys, values, mask);
  const layer = { o: site('o'), norm: normInput(c, basis, 'gateUp'), gateUp: site('gateUp'), down: site('down') };
  return { y: attentionOutput(c, x, mixed, layer), k, v };
}

const headOf = (c: LlamaConfig, basis: Basis, training: boolean) => {
  const shape = [c.vocabSize, c.hiddenSize];
  if (basis.precision === 'fp32') return (h: Value) => matmul(h, input('head.w', shape), { transB: true });
  const matrix = { w: input('head.w', [c.hiddenSize, c.vocabSize], 'int8'), scale: input('head.scale', [c.vocabSize]) };
  return (h: Value) =>
    int8Linear(h, matrix, {
      peak: normedPeak,
      ...(training ? { backward: { float: input('head.float', shape) } } : {}),
    });
};

const headNorm = (c: LlamaConfig, basis: Basis) =>
  basis.precision === 'fp32' ? input('head.norm', [c.hiddenSize]) : undefined;

/** x to { logits }. */
export function logitsOutputs(c: LlamaConfig, basis: Basis): Record<string, Value> {
  const x = input('x', ['rows', c.hiddenSize]);
  return { logits: outputHead(c, x, headNorm(c, basis), headOf(c, basis, false)) };
}

/** Target rows x, labels and weights to { loss } and, for training, { 'grad.x' }. */
export function lossOutputs(c: LlamaConfig, basis: Basis, training: boolean): Record<string, Value> {
  const x = input('x', ['rows', c.hiddenSize]);
  const logits = outputHead(c, x, headNorm(c, basis), headOf(c, basis, training));
  const { loss } = crossEntropy(logits, input('labels', ['rows', 1], 'int64'), input('weights', ['rows', 1]));
  if (!training) return { loss };
  return { loss, 'grad.x': grad([{ value: loss, seed: scalar(1) }], [x]).get(x)! };
}

/** Programs that every use needs. */
export async function compileShared(runtime: Runtime, c: LlamaConfig) {
  const table = (name: string, shape: Shape) => input(name, shape);
  const index = () => input('index', ['rows'], 'int64');
  const like = input('like', ['tokens', c.hiddenSize]);
  return {
    gather: await runtime.compile(
      program('gatherRows', { rows: gatherRows(table('table', ['n', c.hiddenSize]), index()) }),
    ),
    scatter: await runtime.compile(
      program('scatterRows', { all: scatterRows(table('rows', ['rows', c.hiddenSize]), index(), like) }),
    ),
  };
}

/** A forward program with its backward, and the shapes of what passes from one to the other. */
export interface CompiledPair {
  forward: CompiledProgram;
  backward: CompiledProgram | undefined;
  saved: ReadonlyMap<string, Shape>;
}

const findInputs = (outputs: Record<string, Value>, names: readonly string[]): Value[] => {
  const inputs = topological(Object.values(outputs)).filter((n) => n.op === 'input');
  return names.map((name) => {
    const node = inputs.find((n) => n.attrs.name === name);
    invariant(node, `no input ${name}`);
    return node.outputs[0]!;
  });
};

/**
 * Differentiates and compiles.
 * @param wrt inputs whose gradients are wanted; none: no backward program.
 * @param residual the name of an input to whose gradient a `residual` from elsewhere is added.
 */
export async function compilePair(
  runtime: Runtime,
  name: string,
  outputs: Record<string, Value>,
  wrt: readonly string[],
  residual?: string,
): Promise<CompiledPair> {
  if (wrt.length === 0) {
    return { forward: await runtime.compile(program(name, outputs)), backward: undefined, saved: new Map() };
  }
  const pair = trainingPrograms(name, outputs, findInputs(outputs, wrt), {
    finish(grads) {
      const own = residual ? grads.get(`grad.${residual}`) : undefined;
      if (own) grads.set(`grad.${residual}`, add(own, input('residual', own.shape)));
    },
  });
  return {
    forward: await runtime.compile(pair.forward),
    backward: await runtime.compile(pair.backward),
    saved: new Map([...pair.saved].map(([key, v]) => [key, v.shape])),
  };
}

/** Names of the adapter inputs of the given sites. */
export const adapterInputs = (ranks: SiteRanks, among: readonly SiteName[]) =>
  among.flatMap((s) => (ranks[s] > 0 ? [`${s}.A`, `${s}.B`] : []));

export const ranksKey = (ranks: SiteRanks) => siteNames.map((s) => ranks[s]).join('-');
