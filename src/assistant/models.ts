// From a model's name to its files, and what it is called from there on.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { findInCatalog, listModels, type ResolveOptions, resolveModel } from '../hub/index.ts';
import { configFromJson, configKey, goneBase, goneConfigKey } from '../models/index.ts';
import { type Checkpoint, openCheckpoint } from '../models/node.ts';

/** Opens a model by name or path. @throws HuacayaError with what to do. */
export async function openModel(nameOrPath: string, where: ResolveOptions): Promise<Checkpoint> {
  const { path } = await resolveModel(nameOrPath, where).catch(async (cause) => {
    const gone = cause instanceof HuacayaError && cause.code === 'MODEL_NOT_FOUND' ? goneBase(nameOrPath) : undefined;
    if (!gone) throw cause;
    const here = await sameShape(nameOrPath, where);
    const hint = here.length ? `${gone}. Of the same shape and on this machine: ${here.join(', ')}` : gone;
    throw new HuacayaError('MODEL_NOT_FOUND', `${nameOrPath}: is not on this machine`, { hint, cause });
  });
  return openCheckpoint(path);
}

/** Models in the caches whose configuration is that of a model which is gone from the hub. */
async function sameShape(gone: string, where: ResolveOptions): Promise<string[]> {
  const wanted = goneConfigKey(gone);
  const names: string[] = [];
  for (const { name, type, path } of wanted === undefined ? [] : await listModels(where)) {
    if (type !== 'model') continue;
    try {
      const file = join(path, 'config.json');
      if (configKey(configFromJson(file, JSON.parse(await readFile(file, 'utf8')))) === wanted) names.push(name);
    } catch {
      // Not a folder of Hugging Face's form, or another architecture: no candidate.
    }
  }
  return names;
}

/** A short name to ask for: of the catalogue, else the last part of the path or of `org/name`. */
export function shortName(nameOrPath: string): string {
  const known = existsSync(nameOrPath) ? undefined : findInCatalog(nameOrPath)?.name;
  return known ?? basename(resolve(nameOrPath)).replace(/\.gguf$/i, '');
}
