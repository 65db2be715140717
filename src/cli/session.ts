// What several commands share: from a model's name to a model that is ready to run.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import {
  type LoadedModel,
  openModel as openFrom,
  type StartOptions,
  startModel as start,
  storageFrom,
} from '../assistant/node.ts';
import { findInCatalog, hubSettings } from '../hub/index.ts';
import type { Checkpoint } from '../models/node.ts';
import type { Output } from './output.ts';

export type { LoadedModel };

export const quantisedCacheHelp = 'convert the weights again instead of keeping them in the cache';

/** Where models are, from the environment. */
export const storage = () => hubSettings(process.env, homedir(), process.platform);

/** Opens a model by name or path. @throws HuacayaError with what to do. */
export const openModel = async (nameOrPath: string): Promise<Checkpoint> => openFrom(nameOrPath, await storage());

/** A model's name as it can be written down: a path is made absolute, so that it is found from everywhere. */
export const modelReference = (nameOrPath: string) => (existsSync(nameOrPath) ? resolve(nameOrPath) : nameOrPath);

/** What PEFT should call the model: the hub's name where there is one. */
export const peftReference = (nameOrPath: string) =>
  (existsSync(nameOrPath) ? undefined : findInCatalog(nameOrPath)?.repo) ?? modelReference(nameOrPath);

/** Starts the engine and puts a model on it, with progress. */
export async function startModel(
  out: Output,
  checkpoint: Checkpoint,
  { quantisedCache = true, ...options }: Omit<StartOptions, 'cacheDir'> & { quantisedCache?: boolean },
): Promise<LoadedModel> {
  const { cacheDir, keepQuantised } = await storageFrom(process.env);
  return start(out, checkpoint, { ...options, ...(quantisedCache && keepQuantised ? { cacheDir } : {}) });
}
