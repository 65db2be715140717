// What a pull was asked for, read once: which model, which files, from where, and what may stand in for the hub.
import { join } from 'node:path';
import { HuacayaError, usageError } from '../base/index.ts';
import type { CatalogEntry, PipFallback } from './catalog.ts';
import type { FreeBytes } from './diskSpace.ts';
import type { HubDownload, HubPlace } from './hubDownload.ts';
import type { PlanOptions, RepoType } from './plan.ts';
import type { OnPullEvent, PullSource } from './pullEvents.ts';
import type { NetworkOptions } from './request.ts';
import { isPinned, type NamedModel, notFound, readName } from './resolve.ts';
import type { RunCommand } from './runCommand.ts';

export interface PullOptions extends Omit<HubPlace, 'source'> {
  /** Name of the catalog, `org/name`, either with `@revision`, or a path (which is returned as it is). */
  name: string;
  cacheDir: string;
  hubCacheDir: string;
  token?: string;
  /** Branch, tag or commit of the hub; wins over `@revision`. */
  revision?: string;
  /** Default `model`. */
  repoType?: RepoType;
  /** Patterns of wanted files; with them nothing else decides. */
  include?: readonly string[];
  /** Patterns of files that must not be fetched. */
  exclude?: readonly string[];
  /** Only look into the caches. */
  offline?: boolean;
  /** Ask the hub although the model is here: a branch may have moved. */
  update?: boolean;
  /** `auto` (default): the hub, then pip where the catalog knows a package. */
  source?: PullSource | 'auto';
  onEvent?: OnPullEvent;
  network?: NetworkOptions;
  signal?: AbortSignal;
  run?: RunCommand;
  freeBytes?: FreeBytes;
  catalog?: readonly CatalogEntry[];
}

/** How long the hub may be silent when there is another source to turn to. */
const IMPATIENT_MS = 5000;

/** @throws HuacayaError MODEL_NOT_FOUND for a name that is none, USAGE for a source that cannot have it. */
export function checkSource(options: PullOptions): NamedModel {
  const { name, source = 'auto' } = options;
  const model = readName(name, options);
  if (!model.repo) throw notFound(name, options);
  if (source !== 'pip') return model;
  if (!model.entry?.fallback) throw usageError(`${name}: there is no pip package known for it`, 'Use --source hub.');
  if (isPinned(model.revision)) {
    throw usageError(`${name}: a pip package has no revisions of the hub`, 'Leave the revision out, or --source pip.');
  }
  if (options.include || options.exclude) {
    throw usageError('a pip package comes whole', 'Use --include and --exclude with --source hub.');
  }
  return model;
}

export function offlineError(name: string, { repoType }: Pick<PullOptions, 'repoType'>): HuacayaError {
  const pull = `huacaya pull ${name}${repoType === 'dataset' ? ' --repo-type dataset' : ''}`;
  return new HuacayaError('MODEL_NOT_FOUND', `${name}: is not in the cache, and offline was asked for`, {
    hint: `Run \`${pull}\` where there is a network.`,
  });
}

/** Held by the one process that fetches a repository. */
export function pullLockPath(cacheDir: string, repo: string, repoType: RepoType = 'model'): string {
  const key = repo.toLowerCase().replace('/', '--');
  return join(cacheDir, 'locks', `${repoType === 'dataset' ? 'datasets--' : ''}${key}.lock`);
}

export const pipName = (spec: PipFallback) => `${spec.package}==${spec.version} (${spec.format})`;

export const isAboutHub = (error: unknown): error is HuacayaError =>
  error instanceof HuacayaError && error.code.startsWith('HUB_');

/** The package that may stand in for the hub: only for the whole model at its newest state. */
export function fallbackOf(options: PullOptions, { entry, revision }: NamedModel): PipFallback | undefined {
  const whole = options.include === undefined && options.exclude === undefined && !isPinned(revision);
  return (options.source ?? 'auto') === 'auto' && whole ? entry?.fallback : undefined;
}

export function wishesOf(options: PullOptions, entry: CatalogEntry | undefined): PlanOptions {
  const { include, exclude, repoType } = options;
  return {
    ...(include ? { include } : {}),
    ...(exclude ? { exclude } : {}),
    ...(repoType ? { repoType } : {}),
    ...(entry ? { files: entry.files } : {}),
  };
}

export function hubOptions(
  options: PullOptions,
  { entry, repo, revision }: NamedModel,
  impatient: boolean,
): HubDownload {
  const { endpoint, mirrors, modelScopeEndpoint, hubCacheDir, token, onEvent, network, signal } = options;
  return {
    ...(impatient ? { connectTimeoutMs: IMPATIENT_MS, firstDelaysMs: [] } : {}),
    ...network,
    ...wishesOf(options, entry),
    endpoint,
    repo: repo!,
    hubCacheDir,
    source: options.source === 'modelscope' ? 'modelscope' : 'hub',
    ...(mirrors ? { mirrors } : {}),
    ...(modelScopeEndpoint ? { modelScopeEndpoint } : {}),
    ...(revision ? { revision } : {}),
    ...(token ? { token } : {}),
    ...(onEvent ? { onEvent } : {}),
    ...(signal ? { signal } : {}),
    ...(options.freeBytes ? { freeBytes: options.freeBytes } : {}),
  };
}
