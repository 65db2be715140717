// From a model's name to its files, and what it is called from there on.
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { findInCatalog, type ResolveOptions, resolveModel } from '../hub/index.ts';
import { goneBase } from '../models/index.ts';
import { type Checkpoint, openCheckpoint } from '../models/node.ts';

/** Opens a model by name or path. @throws HuacayaError with what to do. */
export async function openModel(nameOrPath: string, where: ResolveOptions): Promise<Checkpoint> {
  const { path } = await resolveModel(nameOrPath, where).catch((cause) => {
    const hint = cause instanceof HuacayaError && cause.code === 'MODEL_NOT_FOUND' ? goneBase(nameOrPath) : undefined;
    throw hint ? new HuacayaError('MODEL_NOT_FOUND', `${nameOrPath}: is not on this machine`, { hint, cause }) : cause;
  });
  return openCheckpoint(path);
}

/** A short name to ask for: of the catalogue, else the last part of the path or of `org/name`. */
export function shortName(nameOrPath: string): string {
  const known = existsSync(nameOrPath) ? undefined : findInCatalog(nameOrPath)?.name;
  return known ?? basename(resolve(nameOrPath)).replace(/\.gguf$/i, '');
}
