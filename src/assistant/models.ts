// From a model's name to its files, and what it is called from there on.
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { findInCatalog, type ResolveOptions, resolveModel } from '../hub/index.ts';
import { type Checkpoint, openCheckpoint } from '../models/node.ts';

/** Opens a model by name or path. @throws HuacayaError with what to do. */
export async function openModel(nameOrPath: string, where: ResolveOptions): Promise<Checkpoint> {
  const { path } = await resolveModel(nameOrPath, where);
  return openCheckpoint(path);
}

/** A short name to ask for: of the catalogue, else the last part of the path or of `org/name`. */
export function shortName(nameOrPath: string): string {
  const known = existsSync(nameOrPath) ? undefined : findInCatalog(nameOrPath)?.name;
  return known ?? basename(resolve(nameOrPath)).replace(/\.gguf$/i, '');
}
