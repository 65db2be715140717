// Starts the engine and puts a model on it for answering.
import { HuacayaError, usageError } from '../base/index.ts';
import { createRuntime } from '../engine/node.ts';
import { createGenerator, type TextGenerator } from '../infer/index.ts';
import type { Adapter } from '../models/index.ts';
import type { Checkpoint } from '../models/node.ts';
import {
  createDecodeEngine,
  type DecodePrecision,
  decodePrecisions,
  fitsBlocks,
  type KvPrecision,
  mergedWeights,
} from '../runner/index.ts';
import { adapterSalt } from './adapterSalt.ts';
import { bytes } from './bytes.ts';
import { constantStore } from './constantStore.ts';
import type { LoadReport } from './loadReport.ts';
import { sampleText } from './sampleText.ts';

/** auto: as many bits as the file has, 4 or 8. */
export const answerPrecisions = ['auto', ...decodePrecisions] as const;
export type AnswerPrecision = (typeof answerPrecisions)[number];

export interface GeneratorOptions {
  precision: AnswerPrecision;
  threads?: number;
  /** Requests that run at the same time. */
  slots: number;
  /** Most tokens of prompt and answer together; default: `defaultContext`, or what the model was made for if that is less. */
  contextLength?: number;
  /** int8: keys and values take a quarter of the memory, and prompts take longer. Default: fp32. */
  kvPrecision?: KvPrecision;
  /** Where converted weights are kept; without it they are not. */
  cacheDir?: string;
  /** An adapter that is worked into the weights, for good. */
  merged?: { adapter: Pick<Adapter, 'layout' | 'params'>; scale?: number };
}

/** Keys and values of every slot have a place for so many tokens: memory that is only taken when it is used. */
export const defaultContext = 4096;

/** What was stored in 4 bits loses nothing in them; everything else keeps 8. */
export function automaticPrecision({ storedAs, config }: Pick<Checkpoint, 'storedAs' | 'config'>): DecodePrecision {
  if (!fitsBlocks(config)) return 'fp32';
  return /^Q4_[01]$/.test(storedAs[0] ?? '') ? 'int4' : 'int8';
}

/** The sample as the start of a prompt. */
function sampleIds({ addBos, bosId, encode }: Checkpoint['tokenizer']): number[] {
  return [...(addBos && bosId !== undefined ? [bosId] : []), ...encode(sampleText)];
}

/** @throws HuacayaError USAGE for a context longer than the model's. The checkpoint is closed in the end, whatever happens. */
export async function openGenerator(
  report: LoadReport,
  checkpoint: Checkpoint,
  options: GeneratorOptions,
): Promise<TextGenerator> {
  const begin = performance.now();
  const { config, weights, tokenizer, name } = checkpoint;
  const { contextLength: wanted, merged } = options;
  // What was on a grid of 4 bits is not any more once something is added.
  const automatic = () => automaticPrecision(merged ? { ...checkpoint, storedAs: [] } : checkpoint);
  const precision = options.precision === 'auto' ? automatic() : options.precision;
  try {
    if (wanted !== undefined && wanted > config.maxPositions) {
      throw usageError(`context_length is ${wanted}; ${name} was made for ${config.maxPositions} tokens`);
    }
    const capacity = wanted ?? Math.min(defaultContext, config.maxPositions);
    const runtime = await createRuntime(options.threads !== undefined ? { threads: options.threads } : {});
    const store = constantStore(report, { runtime, checkpoint, cacheDir: options.cacheDir });
    try {
      const engine = await createDecodeEngine({
        runtime,
        config,
        weights: merged ? mergedWeights(weights, config, merged.adapter, merged.scale) : weights,
        ...(merged ? { salt: adapterSalt(merged.adapter, merged.scale) } : {}),
        precision,
        store,
        slots: options.slots,
        capacity,
        warn: (message) => report.warn(message),
        ...(options.kvPrecision === 'int8' ? { kvPrecision: 'int8', sampleIds: sampleIds(tokenizer) } : {}),
        onProgress: (done) => report.progress(`loading ${name}  ${Math.round(done * 100)} %`),
      });
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      const from = store.used ? ' from the quantised cache' : '';
      const memory = bytes(process.memoryUsage.rss());
      report.progress(
        `loaded ${name} in ${precision}${from}: ${seconds} s, ${memory}, ${runtime.info.threads} threads`,
        true,
      );
      return createGenerator({
        engine,
        tokenizer,
        precision,
        ready: store.verified(),
        async onClose() {
          await runtime.close();
          await store.dispose();
        },
      });
    } catch (e) {
      await runtime.close();
      await store.dispose();
      throw e;
    }
  } finally {
    await weights.close();
  }
}

/** @throws HuacayaError USAGE. */
export function checkAnswerPrecision(precision: string): AnswerPrecision {
  const known = answerPrecisions.find((p) => p === precision);
  if (known) return known;
  throw new HuacayaError(
    'USAGE',
    `precision is ${JSON.stringify(precision)}; known are ${answerPrecisions.join(', ')}`,
  );
}
