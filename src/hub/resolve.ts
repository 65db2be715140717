// From what the user wrote to a path: a local file or folder first, then what is in the caches. Never asks the network.
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HuacayaError, nearNames } from '../base/index.ts';
import { type CatalogEntry, catalog, findInCatalog } from './catalog.ts';
import type { ModelSource } from './events.ts';
import { checkRepo, checkRevision } from './hubFiles.ts';
import { findSnapshot } from './hubLayout.ts';
import { findPipModel } from './pipDownload.ts';

export interface ResolveOptions {
  cacheDir: string;
  hubCacheDir: string;
  revision?: string;
  catalog?: readonly CatalogEntry[];
  /** More names to suggest for a typo, e.g. of cached models. */
  knownNames?: readonly string[];
}

export interface ResolvedModel {
  /** A folder with config.json and safetensors, or a .gguf file. */
  path: string;
  source: ModelSource | 'local';
}

/**
 * @throws HuacayaError FILE_NOT_FOUND for something that can only be a path, MODEL_NOT_FOUND for a name that is not cached.
 */
export async function resolveModel(nameOrPath: string, options: ResolveOptions): Promise<ResolvedModel> {
  const local = await findLocal(nameOrPath);
  if (local) return local;
  const cached = await findCached(nameOrPath, options);
  if (cached) return cached;
  throw notFound(nameOrPath, options);
}

export async function findLocal(nameOrPath: string): Promise<ResolvedModel | undefined> {
  const info = nameOrPath === '' ? undefined : await stat(nameOrPath).catch(() => undefined);
  return info ? { path: resolve(nameOrPath), source: 'local' } : undefined;
}

/** What the caches have under a name; `from` limits the search to one source. */
export async function findCached(
  name: string,
  options: ResolveOptions,
  from: ModelSource | 'auto' = 'auto',
): Promise<ResolvedModel | undefined> {
  const entry = findInCatalog(name, options.catalog ?? catalog);
  const repo = entry?.repo ?? (isRepo(name) ? name : undefined);
  if (repo && from !== 'pip') {
    if (options.revision) checkRevision(options.revision);
    const snapshot = await findSnapshot(options.hubCacheDir, repo, options.revision);
    if (snapshot) return { path: snapshot.path, source: 'hub' };
  }
  if (entry?.fallback && from !== 'hub' && !isPinned(options.revision)) {
    const found = await findPipModel(options.cacheDir, entry.name, entry.fallback);
    if (found) return { path: found.path, source: 'pip' };
  }
  return undefined;
}

/** A revision of one's own choice names a commit of the hub: the wheel is no answer to that. */
export function isPinned(revision: string | undefined): boolean {
  return revision !== undefined && revision !== 'main';
}

export function isRepo(name: string): boolean {
  try {
    checkRepo(name);
    return true;
  } catch {
    return false;
  }
}

export function notFound(name: string, options: Pick<ResolveOptions, 'catalog' | 'knownNames'>): HuacayaError {
  const entries = options.catalog ?? catalog;
  if (/^([./~\\]|[A-Za-z]:)|\.(gguf|safetensors)$/.test(name)) {
    return new HuacayaError('FILE_NOT_FOUND', `${name}: no such file or folder`);
  }
  if (findInCatalog(name, entries) || isRepo(name)) {
    return new HuacayaError('MODEL_NOT_FOUND', `${name}: is not on this machine`, { hint: `huacaya pull ${name}` });
  }
  const near = nearNames(name, [...entries.map((entry) => entry.name), ...(options.knownNames ?? [])]);
  return new HuacayaError('MODEL_NOT_FOUND', `${name}: is no file, no folder and no known model`, {
    hint: near.length
      ? `Did you mean ${near.join(' or ')}? Get it with: huacaya pull ${near[0]}`
      : `Get one with \`huacaya pull NAME\`: ${entries.map((entry) => entry.name).join(', ')}, or org/name of the hub.`,
  });
}
