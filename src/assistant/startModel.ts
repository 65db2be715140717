// Starts the engine and puts a model on it, for training and for answering.
import { HuacayaError } from '../base/index.ts';
import type { Runtime } from '../engine/index.ts';
import { createRuntime } from '../engine/node.ts';
import type { Checkpoint } from '../models/node.ts';
import type { Precision } from '../quant/index.ts';
import { isFrugal, loadModel, type ResidentModel } from '../runner/index.ts';
import { bytes } from './bytes.ts';
import type { LoadReport } from './loadReport.ts';
import { quantisedCache } from './quantisedCache.ts';

export interface LoadedModel {
  runtime: Runtime;
  model: ResidentModel;
  checkpoint: Checkpoint;
}

export interface StartOptions {
  precision: Precision;
  training: boolean;
  threads?: number;
  positions?: number;
  packTokens?: number;
  oneCopy?: boolean;
  /** Layers keep their input only. */
  recompute?: boolean;
  /** Which programs are profiled. */
  profile?: (program: string) => boolean;
  /** Huacaya's own cache folder, where converted weights are kept for the next start; without it they are not. */
  cacheDir?: string;
}

/** The checkpoint's files are closed in the end, whatever happens. */
export async function startModel(out: LoadReport, checkpoint: Checkpoint, options: StartOptions): Promise<LoadedModel> {
  const begin = performance.now();
  const { cacheDir } = options;
  let runtime: Runtime;
  try {
    runtime = await createRuntime({
      frugal: options.training && isFrugal(options),
      ...(options.threads !== undefined ? { threads: options.threads } : {}),
      ...(options.profile ? { profile: options.profile } : {}),
    });
  } catch (e) {
    await checkpoint.weights.close();
    throw e;
  }
  let { precision } = options;
  const cache = cacheDir === undefined ? undefined : quantisedCache(out, { runtime, checkpoint, cacheDir });
  const load = () =>
    loadModel({
      runtime,
      config: checkpoint.config,
      weights: checkpoint.weights,
      precision,
      training: options.training,
      // In fp32 the model's own file is as good as a copy of it.
      ...(cache && precision !== 'fp32' ? { cache } : {}),
      ...(options.oneCopy ? { oneCopy: true } : {}),
      ...(options.positions ? { positions: options.positions } : {}),
      ...(options.packTokens ? { packTokens: options.packTokens } : {}),
      onProgress: (done) => out.progress(`loading ${checkpoint.name}  ${Math.round(done * 100)} %`),
    });
  try {
    const model = await load().catch((e) => {
      if (!(e instanceof HuacayaError && e.code === 'INT8_UNSUPPORTED')) throw e;
      // The same memory, or near it, in exact products.
      precision = precision === 'w4a8' ? 'int4' : 'fp32';
      out.warn(`${e.message}: using ${precision}`);
      return load();
    });
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const memory = bytes(process.memoryUsage.rss());
    const from = cache?.used ? ' from the quantised cache' : '';
    out.progress(
      `loaded ${checkpoint.name} in ${precision}${from}: ${seconds} s, ${memory}, ${runtime.info.threads} threads`,
      true,
    );
    return { runtime, model, checkpoint };
  } catch (e) {
    await runtime.close();
    throw e;
  } finally {
    await checkpoint.weights.close();
  }
}
