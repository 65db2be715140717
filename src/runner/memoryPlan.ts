// How much memory a run will take, before anything is loaded: model and pass are put together on a runtime that only counts,
// with three and with four layers; every further layer takes as much as the fourth.
import type { LlamaConfig, LoraConfig, WeightRole, WeightSource } from '../models/index.ts';
import { expectedShape, loraLayout, nf4Block } from '../models/index.ts';
import type { Precision } from '../quant/index.ts';
import { InferencePass } from './inferencePass.ts';
import { createPlanRuntime } from './planRuntime.ts';
import { loadModel } from './residentModel.ts';
import { type PackContent, TrainingPass } from './trainingPass.ts';

export interface MemorySettings {
  precision: Precision;
  /** int8 with one copy of each matrix. */
  oneCopy?: boolean;
  recompute?: boolean;
  /** Most tokens in one forward pass. */
  packTokens: number;
  /** Longest sequence. */
  positions: number;
}

export interface MemoryRow {
  what: string;
  bytes: number;
}

export interface MemoryEstimate {
  rows: MemoryRow[];
  /** Peak resident memory of the whole process, in bytes: the sum of the rows. */
  total: number;
}

/**
 * Resident memory of a process that has loaded nothing yet but data and a tokenizer: Node, onnxruntime's library, and
 * the compiled programs. Measured, see bench/memory.mjs.
 */
const processBytes = 240e6;

/** Arrays of the adapter's size on the host: parameters, two moments, gradients of step and pass, and copies on their way. */
const hostCopies = 8;

/**
 * Whether programs should give their memory back after each run (`RuntimeOptions.frugal`): where memory is short, and where
 * they expand matrices of 4 bits.
 */
export const isFrugal = (s: Pick<MemorySettings, 'precision' | 'recompute'>): boolean =>
  !!s.recompute || !['fp32', 'int8'].includes(s.precision);

/** Weights of the right sizes. Nobody looks at them, so all are the same stretch of memory, which is never written to. */
function blankWeights(c: LlamaConfig): WeightSource {
  let pool = new Float32Array(0);
  const sizeOf = (role: WeightRole, rows?: readonly [number, number]) => {
    const [count, width = 1] = expectedShape(c, role) as [number, number?];
    return (rows ? rows[1] - rows[0] : count) * width;
  };
  return {
    async read(role, rows) {
      const size = sizeOf(role, rows);
      if (pool.length < size) pool = new Float32Array(size);
      return pool.subarray(0, size);
    },
    async readNf4(role) {
      const size = sizeOf(role);
      return { codes: new Uint8Array(Math.ceil(size / 2)), scales: new Float32Array(Math.ceil(size / nf4Block)) };
    },
    ropeFactors: async () => undefined,
    close: async () => {},
  };
}

const partNames = ['weights', 'loadPeak', 'adapter', 'workspace', 'programs'] as const;
/** Bytes, each a sum over the whole model. */
type Parts = Record<(typeof partNames)[number], number>;

async function countLoad(config: LlamaConfig, s: MemorySettings, training: boolean) {
  const runtime = createPlanRuntime(training && isFrugal(s));
  const weights = blankWeights(config);
  const { precision, oneCopy = false, packTokens, positions } = s;
  const model = await loadModel({
    runtime,
    config,
    weights,
    precision,
    training,
    oneCopy,
    packTokens,
    positions,
    probe: false,
  });
  return { runtime, model };
}

async function countTraining(config: LlamaConfig, s: TrainingMemory) {
  const { runtime, model } = await countLoad(config, s, true);
  const [weights, loadPeak] = [runtime.bufferBytes, runtime.peakBytes];
  const { lora, packs, heldOut = [] } = s;
  const layout = loraLayout(config, lora);
  const pass = await TrainingPass.create(model, layout, { recompute: !!s.recompute });
  for (const pack of packs) await pass.run(pack, 1);
  for (const pack of heldOut) await pass.evaluate(pack);
  const adapter = 4 * layout.size * (2 + hostCopies);
  const workspace = runtime.bufferBytes - weights - 8 * layout.size;
  return { weights, loadPeak, adapter, workspace, programs: runtime.programBytes };
}

async function countInference(config: LlamaConfig, s: MemorySettings) {
  const { runtime, model } = await countLoad(config, s, false);
  const [weights, loadPeak] = [runtime.bufferBytes, runtime.peakBytes];
  const pass = await InferencePass.create(model);
  const cache = pass.createCache(model.positions);
  await pass.advance(
    cache,
    Array.from({ length: model.positions }, () => 0),
  );
  const workspace = runtime.bufferBytes - weights;
  return { weights, loadPeak, adapter: 0, workspace, programs: runtime.programBytes };
}

/** A first layer, one in between and a last one: nothing new comes after that. */
const fewLayers = 3;

/** From what models of few layers take to what all layers take. */
async function extrapolate(c: LlamaConfig, measure: (config: LlamaConfig) => Promise<Parts>) {
  const few = await measure({ ...c, layers: Math.min(fewLayers, c.layers) });
  const more = await measure({ ...c, layers: fewLayers + 1 });
  const further = Math.max(0, c.layers - fewLayers);
  const whole = { ...few };
  for (const name of partNames) whole[name] += further * (more[name] - few[name]);
  return { whole, aLayer: more.workspace - few.workspace };
}

function tell(whole: Parts, kept: number, keptName: string): MemoryEstimate {
  const used = whole.weights + whole.adapter + whole.workspace + whole.programs;
  const rows = [
    { what: 'weights', bytes: whole.weights },
    { what: 'adapter and optimiser', bytes: whole.adapter },
    { what: keptName, bytes: kept },
    { what: 'shared buffers', bytes: whole.workspace - kept },
    { what: 'inside of operations', bytes: whole.programs },
    { what: 'more while loading', bytes: Math.max(0, whole.loadPeak - used) },
    { what: 'process', bytes: processBytes },
  ].filter((row) => row.bytes > 0);
  return { rows, total: rows.reduce((n, row) => n + row.bytes, 0) };
}

export interface TrainingMemory extends MemorySettings {
  lora: LoraConfig;
  /** What a forward pass will hold; buffers grow to the largest of them. See `fullPack`. */
  packs: readonly PackContent[];
  /** What is only evaluated. */
  heldOut?: readonly PackContent[];
}

/** What a run comes down to where `loadModel` refuses 8-bit products because of the architecture. */
export function trainedIn(c: LlamaConfig, precision: Precision): Precision {
  if (!c.postNorms) return precision;
  return precision === 'int8' ? 'fp32' : precision === 'w4a8' ? 'int4' : precision;
}

/** Memory of a fine-tuning run. */
export async function estimateTraining(config: LlamaConfig, wanted: TrainingMemory): Promise<MemoryEstimate> {
  const precision = trainedIn(config, wanted.precision);
  const settings = { ...wanted, precision, oneCopy: precision === 'int8' && !!wanted.oneCopy };
  const { whole, aLayer } = await extrapolate(config, (c) => countTraining(c, settings));
  // The first layer keeps less: no gradient goes below it.
  const kept = (config.layers - 1) * aLayer;
  return tell(whole, kept, settings.recompute ? 'kept inputs of layers' : 'kept activations');
}

/** Memory of answering with a cache for `positions` tokens. */
export async function estimateInference(config: LlamaConfig, settings: MemorySettings): Promise<MemoryEstimate> {
  const { whole, aLayer } = await extrapolate(config, (c) => countInference(c, settings));
  return tell(whole, config.layers * aLayer, 'keys and values');
}

/** The most that a pack of `tokens` can take: sequences of `longest` tokens that share nothing, every token a target. */
export function fullPack(tokens: number, longest: number): PackContent {
  const lengths: number[] = [];
  for (let left = tokens; left > 0; left -= longest) lengths.push(Math.min(left, longest));
  return lengths.map((n) => ({ ids: new Int32Array(n), targets: new Int32Array(n) }));
}
