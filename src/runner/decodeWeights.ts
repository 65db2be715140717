// The weights of `decodeBody.ts` in the forms that are made for generation, as constants in files: kernels pack constants for
// themselves, and what they do not pack is mapped and shared between processes.
import { createBreather, floatToHalf, HuacayaError } from '../base/index.ts';
import { type ConstantFile, type HostArray, type Runtime, type View, view } from '../engine/index.ts';
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
import { type LlamaConfig, moduleShape, type WeightRole, type WeightSource } from '../models/index.ts';
import { blockFor, hadamard, nBitsBlock, nBitsShape, packBits4, packBits8 } from '../quant/index.ts';
import { type Group, groupNames, groupShape, groups } from './decodeBody.ts';

/** Each is all that a body needs: matrices in 4 or 8 bits and the head, or matrices for many rows at a time. */
export type DecodeFile = 'decode4' | 'decode8' | 'rows8';

/** Everything but the checkpoint's weights that decides what is in a file. */
export interface DecodeRecipe {
  /** Raise it when an equal recipe comes to mean other bytes. */
  version: number;
  file: DecodeFile;
  config: LlamaConfig;
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

/** Whether a model's matrices can be cut into blocks. @throws HuacayaError BLOCKS_UNSUPPORTED. */
export function requireBlocks32(c: LlamaConfig): void {
  for (const group of groupNames) {
    const { in: width } = groupShape(c, group);
    if (width % nBitsBlock === 0) continue;
    throw new HuacayaError(
      'BLOCKS_UNSUPPORTED',
      `${groups[group][0]} has ${width} inputs, not a multiple of ${nBitsBlock}`,
      {
        hint: 'Use --precision fp32.',
      },
    );
  }
}

/** The matrices of a group, one below the other: [out, in]. */
async function readGroup(weights: WeightSource, c: LlamaConfig, layer: number, group: Group): Promise<Float32Array> {
  const { out, in: width } = groupShape(c, group);
  const whole = new Float32Array(out * width);
  let at = 0;
  for (const module of groups[group]) {
    whole.set(await weights.read({ kind: 'projection', layer, module }), at);
    at += moduleShape(c, module).out * width;
  }
  return whole;
}

/** Rows of a vocabulary table that are converted at a time. */
const tableChunk = 2048;

async function* tableChunks(o: DecodeWeightsOptions, kind: 'embedding' | 'head') {
  for (let first = 0; first < o.config.vocabSize; first += tableChunk) {
    const last = Math.min(first + tableChunk, o.config.vocabSize);
    yield { first, rows: last - first, data: await o.weights.read({ kind }, [first, last]) };
  }
}

/** Opens a file of constants, making it where there is none. @throws HuacayaError BLOCKS_UNSUPPORTED. */
export async function decodeConstants(o: DecodeWeightsOptions, file: DecodeFile): Promise<ConstantFile> {
  const { runtime, config: c } = o;
  if (file !== 'rows8') requireBlocks32(c);
  const programs = file === 'rows8' ? groupNames.map((g) => toOnnx(rowsProgram(c, g))) : [];
  const recipe: DecodeRecipe = { version: 2, file, config: c, programs };
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
      const weight = view(runtime.upload(await readGroup(weights, c, layer, group)), [out, width]);
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

/** The embedding in half precision, and the norms. */
async function makePlain({ runtime, config: c, weights, ...o }: DecodeWeightsOptions, views: Map<string, View>) {
  const breathe = createBreather();
  const table = new Uint16Array(c.vocabSize * c.hiddenSize);
  for await (const { first, data } of tableChunks({ runtime, config: c, weights, ...o }, 'embedding')) {
    table.set(Uint16Array.from(data, floatToHalf), first * c.hiddenSize);
    await breathe();
  }
  views.set('embedding', view(runtime.upload(table), [c.vocabSize, c.hiddenSize]));
  const norm = async (name: string, role: WeightRole) => {
    views.set(name, view(runtime.upload(await weights.read(role)), [c.hiddenSize]));
  };
  for (let layer = 0; layer < c.layers; layer++) {
    for (const kind of ['attentionNorm', 'mlpNorm'] as const) await norm(`${layer}.${kind}`, { kind, layer });
  }
  await norm('finalNorm', { kind: 'finalNorm' });
}

/** The output head in 8 bits: in 4 it would cost ten percent of perplexity (SmolLM2-135M). */
async function makeHead(o: DecodeWeightsOptions, views: Map<string, View>): Promise<void> {
  const { runtime, config: c } = o;
  const breathe = createBreather();
  const shape = nBitsShape(8, c.vocabSize, c.hiddenSize);
  const size = (s: readonly number[]) => s.reduce((a, b) => a * b, 1);
  const head = {
    codes: new Uint8Array(size(shape.codes)),
    scales: new Float32Array(size(shape.scales)),
    zeroPoints: new Uint8Array(size(shape.zeroPoints)),
  };
  for await (const { first, rows, data } of tableChunks(o, c.tiedHead ? 'embedding' : 'head')) {
    const packed = packBits8(data, rows, c.hiddenSize);
    head.codes.set(packed.codes, first * c.hiddenSize);
    head.scales.set(packed.scales, (first * c.hiddenSize) / nBitsBlock);
    head.zeroPoints.set(packed.zeroPoints, (first * c.hiddenSize) / nBitsBlock);
    await breathe();
  }
  for (const part of ['codes', 'scales', 'zeroPoints'] as const) {
    views.set(`head.${part}`, view(runtime.upload(head[part]), shape[part]));
  }
}

async function makeDecode(o: DecodeWeightsOptions, views: Map<string, View>, bits: 4 | 8): Promise<void> {
  const { runtime, config: c, weights } = o;
  const breathe = createBreather();
  const put = (name: string, data: HostArray, shape: readonly number[]) => {
    views.set(name, view(runtime.upload(data), shape));
  };
  for (let layer = 0; layer < c.layers; layer++) {
    for (const group of groupNames) {
      const { out, in: width } = groupShape(c, group);
      const weight = await readGroup(weights, c, layer, group);
      const packed = (bits === 4 ? packBits4 : packBits8)(weight, out, width);
      const shape = nBitsShape(bits, out, width);
      for (const part of ['codes', 'scales', 'zeroPoints'] as const) {
        put(`${layer}.${group}.${part}`, packed[part], shape[part]);
      }
      await breathe();
    }
    o.onProgress?.((layer + 1) / c.layers);
  }
}
