// The part of `models` that needs Node: checkpoints and adapters on disk.
export { openAdapter, saveAdapter } from './adapterFiles.ts';
export type { Checkpoint } from './checkpointParts.ts';
export { fingerprintFiles } from './fingerprint.ts';
export { type AdapterFacts, adapterFolderAt, inspectAdapter } from './inspectAdapter.ts';
export { openCheckpoint } from './openCheckpoint.ts';
