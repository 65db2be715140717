// Which bodies, heads and weights a precision generates with.
import { usageError } from '../base/index.ts';
import type { Runtime, View } from '../engine/index.ts';
import type { LlamaConfig, WeightSource } from '../models/index.ts';
import { type BodySource, DecodeEngine } from './decodeEngine.ts';
import { type ConstantStore, decodeConstants } from './decodeWeights.ts';
import { int8IsExact } from './int8Probe.ts';
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
  /** Sequences at a time. */
  slots: number;
  /** Most tokens of each; at most what the model has positions for. */
  capacity: number;
  onProgress?: (done: number) => void;
}

/** Rows from which on products of many rows are the faster ones (measured on two Zen 4 cores, SmolLM2-135M). */
const wideFrom = 4;

/** @throws HuacayaError BLOCKS_UNSUPPORTED, USAGE for a capacity beyond the model's positions. */
export async function createDecodeEngine(options: DecodeOptions): Promise<DecodeEngine> {
  const { runtime, config: c, weights, precision, slots, capacity } = options;
  if (capacity > c.maxPositions)
    throw usageError(`context_length is ${capacity}; the model has ${c.maxPositions} positions`);
  const ropeFactors = await weights.ropeFactors();
  const base = { runtime, config: c, ropeFactors, slots, capacity, wideFrom };
  if (precision === 'fp32' || precision === 'nf4') {
    const model = await loadModel({ ...options, positions: 1, training: false });
    const views: Record<string, View> = {
      embedding: model.embedding.table!,
      finalNorm: model.head['head.norm']!,
      'head.w': model.head['head.w']!,
    };
    for (const [layer, own] of model.layers.entries()) {
      for (const [name, v] of Object.entries(own)) views[`${layer}.${name}`] = v;
    }
    const body: BodySource = { kind: precision === 'fp32' ? 'float' : 'nf4', constants: undefined, views };
    return new DecodeEngine({ ...base, narrow: body, wide: body });
  }
  const share = (from: number, part: number) => (done: number) => options.onProgress?.(from + part * done);
  const decode = await decodeConstants(
    { ...options, onProgress: share(0, 0.6) },
    precision === 'int4' ? 'decode4' : 'decode8',
  );
  const narrow: BodySource = { kind: precision === 'int4' ? 'bits4' : 'bits8', constants: decode, views: {} };
  if (precision === 'int8' || !(await int8IsExact(runtime))) return new DecodeEngine({ ...base, narrow, wide: narrow });
  const rows = await decodeConstants({ ...options, onProgress: share(0.6, 0.4) }, 'rows8');
  const wide: BodySource = { kind: 'rows8', constants: rows, views: {} };
  return new DecodeEngine({ ...base, narrow, wide });
}
