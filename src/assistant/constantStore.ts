// Keeps files of constants for generation beside the other converted weights. Where they cannot be kept they go to the
// system's folder for temporary files for as long as this process lives.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { temporaryFolder } from '../base/node.ts';
import type { ConstantFile, Runtime } from '../engine/index.ts';
import { openConstants, saveViews } from '../engine/node.ts';
import { markUsed } from '../hub/index.ts';
import type { Checkpoint } from '../models/node.ts';
import type { ConstantStore, DecodeRecipe } from '../runner/index.ts';
import type { LoadReport } from './loadReport.ts';
import { isAboutFile, keepViews, locateWeights, warnOnce } from './quantisedCache.ts';

export interface KeptConstants extends ConstantStore {
  /** Files were asked for, and all of them were there. */
  readonly used: boolean;
  /** Resolves when the files that were found are known to be whole. @throws HuacayaError BAD_VIEW_FILE. */
  verified(): Promise<void>;
  /** Deletes what was only for this process. */
  dispose(): Promise<void>;
}

/** @param cacheDir Huacaya's own cache folder; undefined: nothing is kept. */
export function constantStore(
  out: LoadReport,
  { runtime, checkpoint, cacheDir }: { runtime: Runtime; checkpoint: Checkpoint; cacheDir: string | undefined },
): KeptConstants {
  const checks: Promise<void>[] = [];
  /** Keys under which files were asked for: before anything was read from the checkpoint. */
  const wanted = new Map<string, string>();
  let temporary: Awaited<ReturnType<typeof temporaryFolder>> | undefined;
  let missing = false;
  const warn = warnOnce(out);
  const locate = ({ programs, ...plain }: DecodeRecipe, dir: string) =>
    locateWeights({ runtime, checkpoint, cacheDir: dir }, plain.file, plain, programs);

  async function keep(recipe: DecodeRecipe, views: Parameters<ConstantStore['save']>[1], dir: string) {
    const { path, key } = await locate(recipe, dir);
    if (wanted.get(recipe.file) !== key) {
      throw new HuacayaError('MODEL_CHANGED', `${checkpoint.name} was written to while it was read`);
    }
    await keepViews(out, { runtime, cacheDir: dir }, { path, key }, views);
    return openConstants(path, key);
  }

  return {
    get used() {
      return wanted.size > 0 && !missing;
    },
    async find(recipe) {
      if (cacheDir === undefined) {
        missing = true;
        return undefined;
      }
      try {
        const { path, key } = await locate(recipe, cacheDir);
        wanted.set(recipe.file, key);
        const found = await openConstants(path, key);
        await markUsed(path);
        const check = found.verify().catch(async (e) => {
          // Not to be used again: the next start makes it anew.
          await rm(path, { force: true }).catch(() => {});
          throw new HuacayaError(e.code ?? 'BAD_VIEW_FILE', e.message, {
            hint: 'It was deleted: start again.',
            cause: e,
          });
        });
        check.catch(() => {}); // awaited later
        checks.push(check);
        return found;
      } catch (e) {
        if (!isAboutFile(e)) throw e;
        missing = true;
        if (e.code !== 'FILE_NOT_FOUND') warn(`${e.message}; the weights are converted again`);
        return undefined;
      }
    },
    async save(recipe, views): Promise<ConstantFile> {
      // All files of a program lie in one folder: after one could not be kept, the others go where it went.
      if (cacheDir !== undefined && temporary === undefined) {
        try {
          return await keep(recipe, views, cacheDir);
        } catch (e) {
          if (!isAboutFile(e)) throw e;
          warn(`${e.message}; the next start converts the weights again`);
        }
      }
      temporary ??= await temporaryFolder('huacaya-weights-');
      const path = join(temporary.path, `${recipe.file}.weights`);
      await saveViews(runtime, path, 'temporary', views);
      return openConstants(path, 'temporary');
    },
    async verified() {
      await Promise.all(checks);
    },
    async dispose() {
      await temporary?.remove().catch(() => {});
      temporary = undefined;
    },
  };
}
