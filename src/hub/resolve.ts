// From what the user wrote to a path: a local file or folder first, then what is in the caches. Never asks the network.
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HuacayaError, nearNames } from '../base/index.ts';
import { type CatalogEntry, catalog, findInCatalog } from './catalog.ts';
import type { ModelSource } from './events.ts';
import { checkRepo, checkRevision, splitRevision } from './hubFiles.ts';
import { repoFolder } from './hubLayout.ts';
import { readListing } from './hubTree.ts';
import { findPipModel } from './pipDownload.ts';
import { type PlanOptions, planFiles, type RepoType } from './plan.ts';
import { findSnapshot, locateSnapshot, modelPath } from './snapshots.ts';

export interface ResolveOptions {
  cacheDir: string;
  hubCacheDir: string;
  revision?: string;
  /** Default `model`. */
  repoType?: RepoType;
  catalog?: readonly CatalogEntry[];
  /** More names to suggest for a typo, e.g. of cached models. */
  knownNames?: readonly string[];
}

export interface ResolvedModel {
  /** A folder with config.json and safetensors, or a .gguf file. */
  path: string;
  source: ModelSource | 'local';
}

/** What a name means, before anything is looked for. */
export interface NamedModel {
  /** Without `@revision`. */
  name: string;
  revision?: string;
  entry?: CatalogEntry;
  /** `org/name` on the hub; undefined for what can only be a path or a typo. */
  repo?: string;
}

/** Reads `name@revision`; a revision in the options wins. @throws HuacayaError USAGE for a revision that is none. */
export function readName(
  nameOrPath: string,
  options: Pick<ResolveOptions, 'revision' | 'catalog' | 'repoType'>,
): NamedModel {
  const split = splitRevision(nameOrPath);
  const entry = options.repoType === 'dataset' ? undefined : findInCatalog(split.name, options.catalog ?? catalog);
  const repo = entry?.repo ?? (isRepo(split.name) ? split.name : undefined);
  // A path may have an @ too.
  const name = repo ? split.name : nameOrPath;
  const revision = options.revision ?? (repo ? split.revision : undefined);
  if (revision !== undefined) checkRevision(revision);
  return {
    name,
    ...(revision === undefined ? {} : { revision }),
    ...(entry ? { entry } : {}),
    ...(repo ? { repo } : {}),
  };
}

/**
 * @param nameOrPath a path, a name of the catalogue, or `org/name`, with `@revision` where one is wanted.
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
  nameOrPath: string,
  options: ResolveOptions,
  from: ModelSource | 'auto' = 'auto',
): Promise<ResolvedModel | undefined> {
  const { hubCacheDir, cacheDir, repoType } = options;
  const { entry, repo, revision } = readName(nameOrPath, options);
  if (repo && from !== 'pip') {
    const snapshot = await findSnapshot(hubCacheDir, repo, revision, repoType);
    if (snapshot) return { path: await openedPath(hubCacheDir, repo, snapshot.sha, repoType), source: 'hub' };
  }
  if (entry?.fallback && from !== 'hub' && !isPinned(revision)) {
    const found = await findPipModel(cacheDir, entry.name, entry.fallback);
    if (found) return { path: found.path, source: 'pip' };
  }
  return undefined;
}

/** A data set is its folder; of a model it is what can be opened. @param wanted as for modelPath. */
export async function openedPath(
  hubCacheDir: string,
  repo: string,
  sha: string,
  repoType: RepoType = 'model',
  wanted?: readonly string[],
): Promise<string> {
  const repoDir = repoFolder(hubCacheDir, repo, repoType);
  return repoType === 'model' ? modelPath(repoDir, sha, wanted) : join(repoDir, 'snapshots', sha);
}

/**
 * As findCached for the hub's cache, but with wishes about files.
 * @returns the path when every file that would be fetched is here, false when one is missing; undefined where nobody wrote
 * down which files there are. @throws as planFiles.
 */
export async function findWanted(
  hubCacheDir: string,
  repo: string,
  revision: string | undefined,
  wishes: PlanOptions,
): Promise<string | false | undefined> {
  const { repoType } = wishes;
  const found = await locateSnapshot(hubCacheDir, repo, revision, repoType);
  const listing = found && (await readListing(repoFolder(hubCacheDir, repo, repoType), found.sha));
  if (!listing) return undefined;
  const { files } = planFiles(repo, listing, wishes);
  for (const file of files) {
    if ((await stat(join(found.path, file.name)).catch(() => undefined))?.size !== file.size) return false;
  }
  const names = files.map((file) => file.name);
  return openedPath(hubCacheDir, repo, found.sha, repoType, names);
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

export function notFound(name: string, options: Pick<ResolveOptions, 'catalog' | 'knownNames' | 'repoType'>) {
  const entries = options.catalog ?? catalog;
  if (/^([./~\\]|[A-Za-z]:)|\.(gguf|safetensors)$/.test(name)) {
    return new HuacayaError('FILE_NOT_FOUND', `${name}: no such file or folder`);
  }
  const bare = splitRevision(name).name;
  if (findInCatalog(bare, entries) || isRepo(bare)) {
    const hint = `huacaya pull ${name}${options.repoType === 'dataset' ? ' --repo-type dataset' : ''}`;
    return new HuacayaError('MODEL_NOT_FOUND', `${name}: is not on this machine`, { hint });
  }
  const near = nearNames(name, [...entries.map((entry) => entry.name), ...(options.knownNames ?? [])]);
  return new HuacayaError('MODEL_NOT_FOUND', `${name}: is no file, no folder and no known model`, {
    hint: near.length
      ? `Did you mean ${near.join(' or ')}? Get it with: huacaya pull ${near[0]}`
      : `Get one with \`huacaya pull NAME\`: ${entries.map((entry) => entry.name).join(', ')}, or org/name of the hub.`,
  });
}
