// Keeps converted weights in a file of our cache folder, so that the next start reads them instead of making them again.
// It may never stop a run: what goes wrong with the file is said in one line, and the weights are made from the model.
import { createHash } from 'node:crypto';
import { HuacayaError } from '../base/index.ts';
import type { Runtime, View } from '../engine/index.ts';
import { loadViews, saveViews, viewFileSize } from '../engine/node.ts';
import { freeBytes, markUsed, pruneQuantised, quantisedFolder, quantisedPath } from '../hub/index.ts';
import { type Checkpoint, fingerprintFiles } from '../models/node.ts';
import type { ConversionRecipe, WeightCache } from '../runner/index.ts';
import { version } from '../version.ts';
import { bytes } from './bytes.ts';
import type { LoadReport } from './loadReport.ts';

/** HUACAYA_QUANTISED_CACHE=0 turns it off for good. */
export const cacheWanted = (setting: string | undefined) => !/^(0|off|no|false)$/i.test(setting ?? '');

export interface QuantisedCache extends WeightCache {
  /** The last load came from it. */
  used: boolean;
}

export interface WeightsPlace {
  runtime: Runtime;
  checkpoint: Checkpoint;
  /** Huacaya's own cache folder. */
  cacheDir: string;
}

/** Where weights converted by a recipe are kept, and the key that says what is in the file. */
export async function locateWeights(
  { runtime, checkpoint, cacheDir }: WeightsPlace,
  use: string,
  recipe: object,
  programs: readonly Uint8Array[],
): Promise<{ key: string; path: string }> {
  const { provider, version: engine } = runtime.info;
  const source = await fingerprintFiles(checkpoint.files);
  const hash = createHash('sha256').update(JSON.stringify({ huacaya: version, provider, engine, source, ...recipe }));
  for (const p of programs) hash.update(p);
  const key = hash.digest('hex');
  return { key, path: quantisedPath(cacheDir, `${checkpoint.name}-${use}`, key) };
}

/** What goes wrong with a file; the engine's own failures are no reason to go on. */
export const isAboutFile = (e: unknown): e is HuacayaError => e instanceof HuacayaError && e.code !== 'ENGINE';

/** One line is enough, whatever else goes wrong. */
export function warnOnce(out: LoadReport): (message: string) => void {
  let told = false;
  return (message) => {
    if (!told) out.warn(`quantised cache: ${message}`);
    told = true;
  };
}

/** Writes a file of the cache, and makes room. @throws HuacayaError NO_SPACE, FILE_UNREADABLE, ENGINE. */
export async function keepViews(
  out: LoadReport,
  { runtime, cacheDir }: Pick<WeightsPlace, 'runtime' | 'cacheDir'>,
  { path, key }: { path: string; key: string },
  views: ReadonlyMap<string, View>,
): Promise<void> {
  const size = viewFileSize(key, views);
  const free = await freeBytes(path);
  if (free !== undefined && free < size) {
    const room = `${bytes(size)} are needed in ${quantisedFolder(cacheDir)}, ${bytes(free)} are free`;
    throw new HuacayaError('NO_SPACE', room);
  }
  out.progress(`saving ${bytes(size)} of quantised weights for the next start`);
  await saveViews(runtime, path, key, views);
  await pruneQuantised(cacheDir, path);
  out.progress(`saved ${bytes(size)} of quantised weights for the next start: ${path}`, true);
}

export function quantisedCache(out: LoadReport, { runtime, checkpoint, cacheDir }: WeightsPlace): QuantisedCache {
  /** What the file is asked for, and where it is: decided before anything is read from the checkpoint. */
  let place: { key: string; path: string } | undefined;
  const warn = warnOnce(out);
  const locate = ({ programs, ...plain }: ConversionRecipe) => {
    const use = plain.training ? 'train' : 'run';
    return locateWeights({ runtime, checkpoint, cacheDir }, `${plain.precision}-${use}`, plain, programs);
  };
  const cache: QuantisedCache = {
    used: false,
    async load(recipe) {
      cache.used = false;
      place = undefined;
      try {
        place = await locate(recipe);
        const views = await loadViews(runtime, place.path, place.key);
        await markUsed(place.path);
        cache.used = true;
        return views;
      } catch (e) {
        if (!isAboutFile(e)) throw e;
        if (e.code !== 'FILE_NOT_FOUND') warn(`${e.message}; the weights are converted again`);
        return undefined;
      }
    },
    async save(recipe, views) {
      try {
        const now = await locate(recipe);
        // Written to while it was read: nobody knows which bytes these weights are made of.
        if (!place || now.key !== place.key) return;
        await keepViews(out, { runtime, cacheDir }, place, views);
      } catch (e) {
        if (!isAboutFile(e)) throw e;
        warn(`${e.message}; the next start converts the weights again`);
      }
    },
  };
  return cache;
}
