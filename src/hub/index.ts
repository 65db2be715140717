export {
  addresses,
  defaultCacheDir,
  defaultHubCacheDir,
  type Environment,
  type HubSettings,
  hubSettings,
  proxySettings,
} from './cache.ts';
export { type CatalogEntry, catalog, findInCatalog, type PipFallback } from './catalog.ts';
export { type FreeBytes, freeBytes } from './diskSpace.ts';
export type { HubEvent, ModelSource, OnEvent } from './events.ts';
export {
  type DownloadPlan,
  fetchFromHub,
  type HubDownload,
  type HubResult,
  type PlannedFile,
} from './hubDownload.ts';
export { DEFAULT_FILES, type HubFile, type HubListing, parseListing } from './hubFiles.ts';
export type { LinkTools } from './hubLayout.ts';
export { type LockOptions, withLock } from './lock.ts';
export { type ListedModel, listModels } from './manage.ts';
export { parseModelScope } from './modelScope.ts';
export { fetchFromPip, type PipDownload, type PipRecord } from './pipDownload.ts';
export { chooseFiles, type FilePlan, type PlanOptions, planFiles, type RepoType, type SkippedFile } from './plan.ts';
export { planPull } from './planPull.ts';
export { type Pruned, type PruneOptions, pruneHub } from './prune.ts';
export { type PulledModel, pullModel } from './pull.ts';
export type { OnPullEvent, PullEvent, PullSource } from './pullEvents.ts';
export type { PullOptions } from './pullOptions.ts';
export {
  listQuantised,
  markUsed,
  pruneQuantised,
  type QuantisedFile,
  quantisedFolder,
  quantisedLimit,
  quantisedPath,
  removeQuantised,
} from './quantised.ts';
export { fetchConfig, type RemoteConfig } from './remoteConfig.ts';
export { removeModel } from './remove.ts';
export { type RepairOptions, repairModel } from './repair.ts';
export type { NetworkOptions } from './request.ts';
export { type ResolvedModel, type ResolveOptions, resolveModel } from './resolve.ts';
export { type CommandResult, type RunCommand, runCommand } from './runCommand.ts';
export { findSnapshot } from './snapshots.ts';
export { isBad, type Verified, type VerifiedFile, verifyModel } from './verify.ts';
