// The weights of `decodeBody.ts` in the forms that are made for generation, as constants in files: kernels pack constants for
// themselves, and what they do not pack is mapped and shared between processes.
import { createBreather, HuacayaError } from '../base/index.ts';
import { type ConstantFile, type Runtime, type View, view } from '../engine/index.ts';
import {
  input,
  type Program,
  program,
  quantizeRows,
  rotateBlocks,
  toOnnx,
  transpose,
  type Value,
} from '../graph/index.ts';
import {
  biasedModules,
  extraVectors,
  type LlamaConfig,
  moduleShape,
  type WeightRole,
  type WeightSource,
} from '../models/index.ts';
import {
  blockFor,
  emptyNBits,
  floatArrayToHalf,
  hadamard,
  type NBitsCodes,
  nBitsBlock,
  nBitsShape,
  packRows,
  withoutMeans,
} from '../quant/index.ts';
import { type Group, groupNames, groupShape, groups } from './decodeBody.ts';

/** Each is all that a body needs: matrices in 4 or 8 bits and the head, or matrices for many rows at a time. */
export type DecodeFile = 'decode4' | 'decode8' | 'rows8';

/** Everything but the checkpoint's weights that decides what is in a file. */
export interface DecodeRecipe {
  /** Raise it when an equal recipe comes to mean other bytes. */
  version: number;
  file: DecodeFile;
  config: LlamaConfig;
  /** What else the weights were made from, e.g. an adapter that is merged into them. */
  salt?: string;
  programs: readonly Uint8Array[];
}

/** Where files of constants are kept. */
export interface ConstantStore {
  /** The file saved under an equal recipe, or undefined. */
  find(recipe: DecodeRecipe): Promise<ConstantFile | undefined>;
  /** Writes one, somewhere: a store that cannot keep it gives it a place for as long as this process lives. */
  save(recipe: DecodeRecipe, views: ReadonlyMap<string, View>): Promise<ConstantFile>;
}

export interface DecodeWeightsOptions {
  runtime: Runtime;
  config: LlamaConfig;
  weights: WeightSource;
  store: ConstantStore;
  /** See `DecodeRecipe.salt`. */
  salt?: string;
  /** Called with the fraction done. */
  onProgress?: (done: number) => void;
}

/** A matrix [out, in] to int8 [in, out] with a scale for each output, for inputs that are rotated in blocks. */
function rowsProgram(c: LlamaConfig, group: Group): Program {
  const { out, in: width } = groupShape(c, group);
  const weight: Value = input('weight', [out, width]);
  const block = blockFor(width);
  const turned = block > 1 ? rotateBlocks(weight, input('rotation', [block, block])) : weight;
  const { codes, scale } = quantizeRows(turned);
  return program(`prepare.${group}`, { w: transpose(codes, [1, 0]), scale });
}

/** The first group whose inputs are no whole number of blocks. */
const oddGroup = (c: LlamaConfig) => groupNames.find((group) => groupShape(c, group).in % nBitsBlock !== 0);

/** Whether a model's matrices can be cut into blocks. */
export const fitsBlocks = (c: LlamaConfig): boolean => oddGroup(c) === undefined;

/** @throws HuacayaError BLOCKS_UNSUPPORTED where they cannot. */
export function requireBlocks32(c: LlamaConfig): void {
  const group = oddGroup(c);
  if (!group) return;
  throw new HuacayaError(
    'BLOCKS_UNSUPPORTED',
    `${groups[group][0]} has ${groupShape(c, group).in} inputs, not a multiple of ${nBitsBlock}`,
    { hint: 'Use --precision fp32.' },
  );
}

/** Numbers that are copied or converted before the event loop gets its turn: a few milliseconds. */
const chunkNumbers = 1 << 17;

/** Parts of a matrix [rows, width], each with the index of its first row. */
function* rowChunks(matrix: Float32Array, width: number): Generator<{ first: number; part: Float32Array }> {
  const rows = Math.max(1, Math.floor(chunkNumbers / width));
  for (let first = 0; first * width < matrix.length; first += rows) {
    yield { first, part: matrix.subarray(first * width, (first + rows) * width) };
  }
}

/** The matrices of a group by parts, as if they lay one below the other. */
async function* groupRows(weights: WeightSource, c: LlamaConfig, layer: number, group: Group) {
  const breathe = createBreather();
  const { in: width } = groupShape(c, group);
  let row = 0;
  for (const module of groups[group]) {
    const matrix = await weights.read({ kind: 'projection', layer, module });
    for (const { first, part } of rowChunks(matrix, width)) {
      yield { first: row + first, part };
      await breathe();
    }
    row += moduleShape(c, module).out;
  }
}

/** Rows of a vocabulary table by parts. */
async function* tableRows(o: DecodeWeightsOptions, kind: 'embedding' | 'head') {
  const breathe = createBreather();
  const { vocabSize, hiddenSize } = o.config;
  const most = Math.max(1, Math.floor((8 * chunkNumbers) / hiddenSize));
  for (let at = 0; at < vocabSize; at += most) {
    const rows = await o.weights.read({ kind }, [at, Math.min(at + most, vocabSize)]);
    for (const { first, part } of rowChunks(rows, hiddenSize)) {
      yield { first: at + first, part };
      await breathe();
    }
  }
}

/** Opens a file of constants, making it where there is none. @throws HuacayaError BLOCKS_UNSUPPORTED. */
export async function decodeConstants(o: DecodeWeightsOptions, file: DecodeFile): Promise<ConstantFile> {
  const { runtime, config: c } = o;
  if (file !== 'rows8') requireBlocks32(c);
  const programs = file === 'rows8' ? groupNames.map((g) => toOnnx(rowsProgram(c, g))) : [];
  const recipe: DecodeRecipe = {
    version: 4,
    file,
    config: c,
    ...(o.salt === undefined ? {} : { salt: o.salt }),
    programs,
  };
  const kept = await o.store.find(recipe);
  if (kept) return kept;
  const views = new Map<string, View>();
  try {
    await makePlain(o, views);
    await makeHead(o, views);
    if (file === 'rows8') await makeRows(o, views);
    else await makeDecode(o, views, file === 'decode4' ? 4 : 8);
    return await o.store.save(recipe, views);
  } finally {
    for (const v of views.values()) runtime.free(v.buffer);
  }
}

async function makeRows(o: DecodeWeightsOptions, views: Map<string, View>): Promise<void> {
  const { runtime, config: c, weights } = o;
  const made = [];
  for (const group of groupNames) {
    const { out, in: width } = groupShape(c, group);
    const block = blockFor(width);
    const compiled = await runtime.compile(rowsProgram(c, group));
    const rotation = view(runtime.upload(hadamard(block)), [block, block]);
    made.push({ group, out, width, compiled, rotation });
  }
  for (let layer = 0; layer < c.layers; layer++) {
    for (const { group, out, width, compiled, rotation } of made) {
      const whole = new Float32Array(out * width);
      for await (const { first, part } of groupRows(weights, c, layer, group)) whole.set(part, first * width);
      const weight = view(runtime.upload(whole), [out, width]);
      const w = view(runtime.alloc('int8', out * width), [width, out]);
      const scale = view(runtime.alloc('float32', out), [out]);
      runtime.run(compiled, { weight, rotation }, { w, scale });
      await runtime.sync();
      runtime.free(weight.buffer);
      views.set(`${layer}.${group}.w`, w);
      views.set(`${layer}.${group}.scale`, scale);
    }
    o.onProgress?.((layer + 1) / c.layers);
  }
  for (const { compiled, rotation } of made) {
    runtime.release(compiled);
    runtime.free(rotation.buffer);
  }
}

/** The embedding in half precision, norms and biases. */
async function makePlain(o: DecodeWeightsOptions, views: Map<string, View>) {
  const { runtime, config: c, weights } = o;
  const table = new Uint16Array(c.vocabSize * c.hiddenSize);
  for await (const { first, part } of tableRows(o, 'embedding')) {
    const at = first * c.hiddenSize;
    floatArrayToHalf(part, table.subarray(at, at + part.length));
  }
  views.set('embedding', view(runtime.upload(table), [c.vocabSize, c.hiddenSize]));
  const vectorOf = async (name: string, role: WeightRole) => {
    const vector = await weights.read(role);
    views.set(name, view(runtime.upload(vector), [vector.length]));
  };
  for (let layer = 0; layer < c.layers; layer++) {
    for (const kind of ['attentionNorm', 'mlpNorm', ...extraVectors(c)] as const) {
      await vectorOf(`${layer}.${kind}`, { kind, layer });
    }
    for (const module of biasedModules(c)) {
      await vectorOf(`${layer}.${module}.bias`, { kind: 'bias', layer, module });
    }
  }
  await vectorOf('finalNorm', { kind: 'finalNorm' });
}

/** Packs a matrix that comes by parts, and puts it on the device. */
async function pack(
  { runtime }: DecodeWeightsOptions,
  views: Map<string, View>,
  name: string,
  { bits, out, width }: { bits: 4 | 8; out: number; width: number },
  parts: AsyncIterable<{ first: number; part: Float32Array }>,
): Promise<void> {
  const made = emptyNBits(bits, out, width);
  for await (const { first, part } of parts) packRows(bits, part, width, made, first);
  const lean = withoutMeans(bits, made, out, width);
  const shape = nBitsShape(bits, out, width, !lean);
  for (const part of Object.keys(made) as (keyof NBitsCodes)[]) {
    views.set(`${name}.${part}`, view(runtime.upload((lean ?? made)[part]), shape[part]));
  }
}

/** The output head in 8 bits: in 4 it would cost ten percent of perplexity (SmolLM2-135M). */
async function makeHead(o: DecodeWeightsOptions, views: Map<string, View>): Promise<void> {
  const { vocabSize, hiddenSize, tiedHead } = o.config;
  const parts = tableRows(o, tiedHead ? 'embedding' : 'head');
  await pack(o, views, 'head', { bits: 8, out: vocabSize, width: hiddenSize }, parts);
}

async function makeDecode(o: DecodeWeightsOptions, views: Map<string, View>, bits: 4 | 8): Promise<void> {
  const { config: c, weights } = o;
  for (let layer = 0; layer < c.layers; layer++) {
    for (const group of groupNames) {
      const { out, in: width } = groupShape(c, group);
      await pack(o, views, `${layer}.${group}`, { bits, out, width }, groupRows(weights, c, layer, group));
    }
    o.onProgress?.((layer + 1) / c.layers);
  }
}
