// What several commands share: from a model's name to a model that is ready to run.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import type { Runtime } from '../engine/index.ts';
import { createRuntime } from '../engine/node.ts';
import { findInCatalog, hubSettings, resolveModel } from '../hub/index.ts';
import { type Checkpoint, openCheckpoint } from '../models/node.ts';
import type { Precision } from '../quant/index.ts';
import { isFrugal, loadModel, type ResidentModel } from '../runner/index.ts';
import { bytes, type Output } from './output.ts';
import { cacheWanted, quantisedCache } from './quantisedCache.ts';

/** Where models are, from the environment. */
export const storage = () => hubSettings(process.env, homedir(), process.platform);

/** Opens a model by name or path. @throws HuacayaError with what to do. */
export async function openModel(nameOrPath: string): Promise<Checkpoint> {
  const { path } = await resolveModel(nameOrPath, await storage());
  return openCheckpoint(path);
}

/** A model's name as it can be written down: a path is made absolute, so that it is found from everywhere. */
export const modelReference = (nameOrPath: string) => (existsSync(nameOrPath) ? resolve(nameOrPath) : nameOrPath);

/** What PEFT should call the model: the hub's name where there is one. */
export const peftReference = (nameOrPath: string) =>
  (existsSync(nameOrPath) ? undefined : findInCatalog(nameOrPath)?.repo) ?? modelReference(nameOrPath);

export interface LoadedModel {
  runtime: Runtime;
  model: ResidentModel;
  checkpoint: Checkpoint;
}

/** Starts the engine and puts a model on it, with progress. */
export async function startModel(
  out: Output,
  checkpoint: Checkpoint,
  options: {
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
    /** Whether converted weights are kept for the next start; default: yes. */
    quantisedCache?: boolean;
  },
): Promise<LoadedModel> {
  const begin = performance.now();
  const { cacheDir } = await storage();
  const runtime = await createRuntime({
    frugal: options.training && isFrugal(options),
    ...(options.threads !== undefined ? { threads: options.threads } : {}),
    ...(options.profile ? { profile: options.profile } : {}),
  });
  let { precision } = options;
  const keeps = options.quantisedCache !== false && cacheWanted(process.env.HUACAYA_QUANTISED_CACHE);
  const cache = keeps ? quantisedCache(out, { runtime, checkpoint, cacheDir }) : undefined;
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
