// A whole model in one program, for generation: tokens of one or several sequences in, keys and values put into their
// caches, and the final hidden states of the rows that logits are wanted for.
import {
  add,
  type CachedAttention,
  cachedAttention,
  concat,
  embedTokens,
  scale as factor,
  gatherRows,
  input,
  int8Linear,
  joinRows,
  matmul,
  mul,
  nBitsLinear,
  nf4Linear,
  type Program,
  program,
  reshape,
  rmsNorm,
  split,
  splitRows,
  toFloat,
  topK,
  type Value,
} from '../graph/index.ts';
import {
  biasedModules,
  gated,
  headNorm,
  type LlamaConfig,
  type ModuleName,
  moduleShape,
  nf4Block,
  softcap,
  windowOf,
} from '../models/index.ts';
import { blockFor, blockName, nBitsBlock, nBitsShape, nBitsWidth } from '../quant/index.ts';

/** Projections that see the same input are one product. */
export const groups = {
  qkv: ['q_proj', 'k_proj', 'v_proj'],
  o: ['o_proj'],
  gateUp: ['gate_proj', 'up_proj'],
  down: ['down_proj'],
} as const satisfies Record<string, readonly ModuleName[]>;
export type Group = keyof typeof groups;
export const groupNames = Object.keys(groups) as Group[];

export function groupShape(c: LlamaConfig, group: Group): { out: number; in: number } {
  const shapes = groups[group].map((m) => moduleShape(c, m));
  return { in: shapes[0]!.in, out: shapes.reduce((n, s) => n + s.out, 0) };
}

/**
 * What products are computed with. float and nf4: matrices as a resident model has them. bits4, bits8: few rows at a time,
 * weights read as fast as memory gives them; bits8 with activations in 15 bits, so that answers are those of float. rows8: many
 * rows at a time, in 8-bit products with a scale for each row and each column; what goes in is rotated in blocks, so that
 * outliers do not spoil a row.
 */
export type BodyKind = 'float' | 'nf4' | 'bits4' | 'bits8' | 'rows8';

/** Which matrices have columns for the means of their blocks, by name. */
export type HasMeans = (name: string) => boolean;

export function nBitsInput(c: { bits: 4 | 8; out: number; in: number }, name: string, hasMeans: HasMeans) {
  const means = hasMeans(name);
  const shape = nBitsShape(c.bits, c.out, c.in, means);
  return {
    codes: input(`${name}.codes`, shape.codes, 'uint8'),
    scales: input(`${name}.scales`, shape.scales),
    zeroPoints: input(`${name}.zeroPoints`, shape.zeroPoints, 'uint8'),
    bits: c.bits,
    block: nBitsBlock,
    in: means ? nBitsWidth(c.in) : c.in,
    means,
  };
}

type Product = (layer: number, group: Group, x: Value) => Value;

/** The frozen product of a group: x [batch, tokens, in] to [batch, tokens, out]. */
function frozen(c: LlamaConfig, kind: BodyKind, ids: Value, hasMeans: HasMeans, fine: boolean): Product {
  const rotations = new Map<number, Value>();
  const rotation = (block: number): Value => {
    const made = rotations.get(block) ?? input(blockName(block), [block, block]);
    rotations.set(block, made);
    return made;
  };
  const each = (group: Group, one: (module: ModuleName) => Value): Value => concat(groups[group].map(one), -1);
  switch (kind) {
    case 'float':
      return (layer, group, x) =>
        each(group, (module) => {
          const { out, in: width } = moduleShape(c, module);
          return matmul(x, input(`${layer}.${module}.w`, [out, width]), { transB: true });
        });
    case 'nf4':
      return (layer, group, x) => {
        const rows = joinRows(x);
        const product = each(group, (module) => {
          const shape = moduleShape(c, module);
          const size = shape.out * shape.in;
          const codes = input(`${layer}.${module}.codes`, [Math.ceil(size / 2)], 'uint8');
          const scales = input(`${layer}.${module}.scales`, [Math.ceil(size / nf4Block)]);
          return nf4Linear(rows, { codes, scales, ...shape, block: nf4Block });
        });
        return splitRows(product, ids);
      };
    case 'bits4':
    case 'bits8': {
      const bits = kind === 'bits4' ? 4 : 8;
      return (layer, group, x) => {
        const matrix = nBitsInput({ bits, ...groupShape(c, group) }, `${layer}.${group}`, hasMeans);
        return nBitsLinear(x, matrix, { fine });
      };
    }
    case 'rows8':
      return (layer, group, x) => {
        const { out, in: width } = groupShape(c, group);
        const matrix = {
          w: input(`${layer}.${group}.w`, [width, out], 'int8'),
          scale: input(`${layer}.${group}.scale`, [out]),
        };
        const block = blockFor(width);
        const y = int8Linear(joinRows(x), matrix, block > 1 ? { rotateInput: rotation(block) } : {});
        return splitRows(y, ids);
      };
  }
}

/**
 * Adapters of several requests in one product: all their A side by side, and a factor for each column and sequence, which is
 * an adapter's scale where the sequence uses it and 0 where not.
 */
function adapted(product: Product, changed: ReadonlySet<Group>, c: LlamaConfig): Product {
  const mixes = new Map<Group, Value>();
  return (layer, group, x) => {
    const y = product(layer, group, x);
    if (!changed.has(group)) return y;
    const rank = `rank.${group}`;
    const { out, in: width } = groupShape(c, group);
    const mix = mixes.get(group) ?? input(`mix.${group}`, ['batch', 1, rank]);
    mixes.set(group, mix);
    const low = mul(matmul(x, input(`${layer}.${group}.A`, [width, rank])), mix);
    return add(y, matmul(low, input(`${layer}.${group}.B`, [rank, out])));
  };
}

/** The product of q, k and v with what an architecture does to it before positions are applied. */
function queriesKeysValues(c: LlamaConfig, layer: number, product: Value): CachedAttention['qkv'] {
  const biases = biasedModules(c).map((m) => input(`${layer}.${m}.bias`, [moduleShape(c, m).out]));
  const qkv = biases.length > 0 ? add(product, concat(biases, 0)) : product;
  if (!c.qkNorm) return [qkv];
  const [q, k, v] = split(
    qkv,
    groups.qkv.map((m) => moduleShape(c, m).out),
  ) as [Value, Value, Value];
  return [headNorm(c, q, `${layer}.queryNorm`), headNorm(c, k, `${layer}.keyNorm`), v];
}

/** What keys and values are held in. */
export type KvPrecision = 'fp32' | 'int8';

export interface BodyOptions {
  hasMeans?: HasMeans;
  /** Rows go through the kernels for 4 and 8 bits in pairs, never alone. */
  paired?: boolean;
  /** int8: k0, v0, ... are codes, with scales of each column as `<layer>.kScale` and `.vScale` [kvHeads * headDim]. */
  kv?: KvPrecision;
}

/**
 * Inputs: ids int64 [batch, tokens], lastKey int32 [batch], total int32 [], keep int64 [kept] (rows counted through batch and
 * tokens), k0, v0, ... [batch, kvHeads, capacity, headDim], cos and sin, weights. Outputs: logits [kept, vocab]; best
 * [kept, 2 * bestCount], the largest logits, falling, and their ids; k0.new, v0.new, ... to be bound to the memory of k0, v0, ...
 * @param adaptedGroups where adapters add something: `mix.<group>` [batch, 1, rank], and A and B in each layer.
 */
export function bodyProgram(
  c: LlamaConfig,
  kind: BodyKind,
  adaptedGroups: ReadonlySet<Group>,
  { hasMeans = () => true, paired = false, kv = 'fp32' }: BodyOptions = {},
): Program {
  const fine = paired || kind === 'bits8';
  const ids = input('ids', ['batch', 'tokens'], 'int64');
  const table = input(
    'embedding',
    [c.vocabSize, c.hiddenSize],
    kind === 'float' || kind === 'nf4' ? 'float32' : 'float16',
  );
  const product = adapted(frozen(c, kind, ids, hasMeans, fine), adaptedGroups, c);
  const norm = (x: Value, name: string) => rmsNorm(x, input(name, [c.hiddenSize]), c.rmsNormEps).y;
  const shared = {
    lastKey: input('lastKey', ['batch'], 'int32'),
    total: input('total', [], 'int32'),
    heads: c.heads,
    kvHeads: c.kvHeads,
  };
  const tables = (prefix: string) => ({
    cos: input(`${prefix}cos`, ['positions', c.headDim / 2]),
    sin: input(`${prefix}sin`, ['positions', c.headDim / 2]),
  });
  const rope = tables('');
  const local = c.localRopeTheta === undefined ? rope : tables('local.');
  const post = (y: Value, name: string) => (c.postNorms ? norm(y, name) : y);
  const outputs: Record<string, Value> = {};
  const embedded = embedTokens(table, ids);
  let x = c.embeddingScale === undefined ? embedded : factor(embedded, c.embeddingScale);
  for (let layer = 0; layer < c.layers; layer++) {
    const held = ['batch', c.kvHeads, 'capacity', c.headDim];
    const past = (name: string) => input(name, held, kv === 'int8' ? 'int8' : 'float32');
    const scale = (name: string) => input(`${layer}.${name}Scale`, [c.kvHeads * c.headDim]);
    const window = windowOf(c, layer);
    const seen = cachedAttention({
      ...shared,
      ...(window === undefined ? rope : { ...local, window }),
      ...(c.attentionScale === undefined ? {} : { scale: c.attentionScale }),
      ...(c.attentionSoftcap === undefined ? {} : { softcap: c.attentionSoftcap }),
      qkv: queriesKeysValues(c, layer, product(layer, 'qkv', norm(x, `${layer}.attentionNorm`))),
      pastK: past(`k${layer}`),
      pastV: past(`v${layer}`),
      ...(kv === 'int8' ? { scales: { k: scale('k'), v: scale('v') } } : {}),
    });
    outputs[`k${layer}.new`] = seen.k;
    outputs[`v${layer}.new`] = seen.v;
    x = add(x, post(product(layer, 'o', seen.y), `${layer}.postAttentionNorm`));
    const gateUp = product(layer, 'gateUp', norm(x, `${layer}.mlpNorm`));
    const [gate, up] = split(gateUp, [c.intermediateSize, c.intermediateSize]) as [Value, Value];
    x = add(x, post(product(layer, 'down', gated(c, gate, up)), `${layer}.postMlpNorm`));
  }
  // As a batch of one: [1, kept, hidden].
  const kept = reshape(gatherRows(joinRows(x), input('keep', ['kept'], 'int64')), [1, 'kept', c.hiddenSize]);
  const hidden = norm(kept, 'finalNorm');
  const head = () =>
    kind === 'float' || kind === 'nf4'
      ? matmul(hidden, input('head.w', [c.vocabSize, c.hiddenSize]), { transB: true })
      : nBitsLinear(hidden, nBitsInput({ bits: 8, out: c.vocabSize, in: c.hiddenSize }, 'head', hasMeans), { fine });
  const logits = softcap(reshape(head(), ['kept', c.vocabSize]), c.logitSoftcap);
  const { values, indices } = topK(logits, bestCount(c));
  return program(`decode.${kind}`, { logits, best: concat([values, toFloat(indices)], 1), ...outputs });
}

/** How many of the most probable tokens a pass hands out for each row. */
export const bestCount = (c: LlamaConfig) => Math.min(64, c.vocabSize);
