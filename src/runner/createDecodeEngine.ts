// Which bodies, heads and weights a precision generates with.
import { usageError } from '../base/index.ts';
import type { Runtime, View } from '../engine/index.ts';
import type { LlamaConfig, WeightSource } from '../models/index.ts';
import type { BodyKind, KvPrecision } from './decodeBody.ts';
import { type BodySource, DecodeEngine } from './decodeEngine.ts';
import { type DecodePlan, planBodies } from './decodePlan.ts';
import { type ConstantStore, decodeConstants, requireBlocks32 } from './decodeWeights.ts';
import { int8IsExact } from './int8Probe.ts';
import { probeNBits } from './nBitsProbe.ts';
import { loadModel } from './residentModel.ts';

/**
 * fp32: the model as it is. int8: weights in 8 bits. int4: in 4 bits, and in 8-bit products for long prompts and several
 * requests at once. nf4: as QLoRA keeps them, in exact products.
 */
export const decodePrecisions = ['fp32', 'int8', 'int4', 'nf4'] as const;
export type DecodePrecision = (typeof decodePrecisions)[number];

export interface DecodeOptions {
  runtime: Runtime;
  config: LlamaConfig;
  /** May be closed once the engine is made. */
  weights: WeightSource;
  precision: DecodePrecision;
  /** Where converted weights are kept (int8, int4). */
  store: ConstantStore;
  /** What else than the checkpoint's files `weights` come from: kept weights are not taken for those of another. */
  salt?: string;
  /** Sequences at a time. */
  slots: number;
  /** Most tokens of each; at most what the model has positions for. */
  capacity: number;
  /** Keys and values in 8 bits take a quarter of the memory; prompts take longer. Default: fp32. */
  kvPrecision?: KvPrecision;
  /** Token ids of ordinary text, which shows how large keys and values in 8 bits get. */
  sampleIds?: readonly number[];
  onProgress?: (done: number) => void;
  /** Told where this machine cannot do what was asked for, and what is done instead. */
  warn?: (message: string) => void;
}

/** Rows from which on products of many rows are the faster ones (measured on two Zen 4 cores, SmolLM2-135M). */
const wideFrom = 4;

/** @throws HuacayaError BLOCKS_UNSUPPORTED, USAGE for a capacity beyond the model's positions. */
export async function createDecodeEngine(options: DecodeOptions): Promise<DecodeEngine> {
  const { kvPrecision, sampleIds, config } = options;
  const engine = await openEngine(options);
  if (kvPrecision === 'int8') await engine.findScales(sampleIds?.length ? sampleIds : spreadIds(config));
  return engine;
}

/** Some tokens of everything that a model knows. */
const spreadIds = ({ vocabSize }: LlamaConfig) =>
  Array.from({ length: 64 }, (_, i) => Math.floor(((i * 0.618034) % 1) * vocabSize));

async function openEngine(options: DecodeOptions): Promise<DecodeEngine> {
  const { runtime, config: c, weights, slots, capacity } = options;
  if (capacity > c.maxPositions)
    throw usageError(`context_length is ${capacity}; the model has ${c.maxPositions} positions`);
  const ropeFactors = await weights.ropeFactors();
  const kv = options.kvPrecision ?? 'fp32';
  const base = { runtime, config: c, ropeFactors, slots, capacity, wideFrom, kv };
  const plan = await planFor(options);
  if (plan.warning !== undefined) options.warn?.(plan.warning);
  if (plan.narrow === 'float' || plan.narrow === 'nf4') {
    const stored = plan.narrow === 'float' ? 'fp32' : 'nf4';
    const model = await loadModel({ ...options, precision: stored, positions: 1, training: false });
    const views: Record<string, View> = {
      embedding: model.embedding.table!,
      finalNorm: model.head['head.norm']!,
      'head.w': model.head['head.w']!,
    };
    for (const [layer, own] of model.layers.entries()) {
      for (const [name, v] of Object.entries(own)) views[`${layer}.${name}`] = v;
    }
    const body: BodySource = { kind: plan.narrow, constants: undefined, views };
    return new DecodeEngine({ ...base, narrow: body, wide: body });
  }
  const kinds = [...new Set([plan.narrow, plan.wide])] as (keyof typeof files)[];
  const sources = new Map<BodyKind, BodySource>();
  for (const [i, kind] of kinds.entries()) {
    const onProgress = (done: number) => options.onProgress?.((i + done) / kinds.length);
    const constants = await decodeConstants({ ...options, onProgress }, files[kind]);
    sources.set(kind, { kind, constants, views: {}, paired: plan.paired });
  }
  return new DecodeEngine({ ...base, narrow: sources.get(plan.narrow)!, wide: sources.get(plan.wide)! });
}

/** The constants of each body. */
const files = { bits4: 'decode4', bits8: 'decode8', rows8: 'rows8' } as const satisfies Partial<
  Record<BodyKind, string>
>;

/** Asks the machine what its kernels are good for. */
async function planFor({ runtime, config, precision }: DecodeOptions): Promise<DecodePlan> {
  if (precision === 'fp32' || precision === 'nf4') {
    const kind = precision === 'fp32' ? 'float' : 'nf4';
    return { narrow: kind, wide: kind, paired: false };
  }
  requireBlocks32(config);
  const bits8 = await probeNBits(runtime, 8);
  if (precision === 'int8') return planBodies('int8', { bits4: bits8, bits8, rows8: false });
  const bits4 = await probeNBits(runtime, 4);
  return planBodies('int4', { bits4, bits8, rows8: await int8IsExact(runtime) });
}
