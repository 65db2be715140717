// Fetches a model from the Hugging Face hub, or a mirror of it, into the cache that Python uses too.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_DELAYS_MS, downloadBlob, partialPath, sizeOf } from './blobDownload.ts';
import { type FreeBytes, requireSpace } from './diskSpace.ts';
import type { OnEvent } from './events.ts';
import { checkRepo, checkRevision, chooseFiles, type HubFile, type HubListing, parseListing } from './hubFiles.ts';
import { type LinkTools, publishSnapshot, repoFolder } from './hubLayout.ts';
import { statusError } from './hubStatus.ts';
import { checkEndpoint, isTransient, type NetworkOptions, readJson, request } from './request.ts';

export interface HubDownload extends NetworkOptions {
  /** e.g. https://huggingface.co */
  endpoint: string;
  /** `org/name` */
  repo: string;
  /** Branch, tag or commit; default `main`. */
  revision?: string;
  token?: string;
  hubCacheDir: string;
  /** Names of wanted files, `*` allowed. */
  files?: readonly string[];
  /** Waits between tries of the first request; default as `delaysMs`. Empty where another source is at hand. */
  firstDelaysMs?: readonly number[];
  onEvent?: OnEvent;
  freeBytes?: FreeBytes;
  links?: LinkTools;
}

export interface HubResult {
  /** The snapshot's folder. */
  path: string;
  sha: string;
  files: HubFile[];
}

/**
 * Lists, downloads, verifies, publishes. The snapshot and its ref appear only when every file is right.
 * @throws HuacayaError HUB_* (network, answer, content), NO_SPACE, FILE_UNREADABLE, USAGE.
 */
export async function fetchFromHub(options: HubDownload): Promise<HubResult> {
  const { repo, revision = 'main', onEvent = () => {}, hubCacheDir } = options;
  checkRepo(repo);
  checkRevision(revision);
  const endpoint = checkEndpoint(options.endpoint);
  const listing = await list({ ...options, endpoint, revision });
  const files = chooseFiles(repo, listing, options.files);
  const repoDir = repoFolder(hubCacheDir, repo);
  const blobPath = (file: HubFile) => join(repoDir, 'blobs', file.hash.value);
  await requireSpace(hubCacheDir, await bytesToCome(files, blobPath), options.freeBytes);
  for (const file of files) {
    const url = `${endpoint}/${repo}/resolve/${listing.sha}/${encodeURIComponent(file.name)}`;
    await downloadBlob(file, url, blobPath(file), { ...options, onEvent });
  }
  const published = files.map((file) => ({ name: file.name, blob: file.hash.value, size: file.size }));
  const path = await publishSnapshot(repoDir, { sha: listing.sha, revision, files: published }, options.links);
  return { path, sha: listing.sha, files };
}

async function bytesToCome(files: HubFile[], blobPath: (file: HubFile) => string): Promise<number> {
  let bytes = 0;
  for (const file of files) {
    const path = blobPath(file);
    if ((await sizeOf(path)) !== file.size) bytes += Math.max(0, file.size - (await sizeOf(partialPath(path))));
  }
  return bytes;
}

async function list(options: HubDownload & { revision: string }): Promise<HubListing> {
  const { endpoint, repo, revision, token, onEvent, signal, connectTimeoutMs = 20_000 } = options;
  const delays = options.firstDelaysMs ?? options.delaysMs ?? DEFAULT_DELAYS_MS;
  const url = `${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  for (let failures = 0; ; failures++) {
    try {
      const answer = await request(url, { ...options, headersMs: connectTimeoutMs });
      if (answer.status === 200) return parseListing(repo, await readJson(answer, repo));
      answer.discard();
      throw statusError(answer, repo, revision === 'main' ? repo : `${repo}@${revision}`, token !== undefined);
    } catch (error) {
      const wait = delays[failures];
      if (!isTransient(error) || wait === undefined) throw error;
      onEvent?.({ type: 'note', message: `${(error as Error).message}; trying again in ${wait / 1000} s` });
      await sleep(wait, undefined, signal ? { signal } : {});
    }
  }
}
