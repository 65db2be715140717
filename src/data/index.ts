export {
  type BuiltExamples,
  buildExample,
  buildExamples,
  countTargets,
  type Encoder,
  type Example,
  type ExampleOptions,
  NO_TARGET,
  type SkippedRow,
} from './buildExample.ts';
export { type LengthStats, lengthStats } from './lengthStats.ts';
export { type BatchOptions, batchPacks, type Pack, type PackOptions, packExamples } from './pack.ts';
export { parseRecords } from './parseRecords.ts';
export { type AlpacaRecord, type RecordOptions, toRecord } from './record.ts';
export { type Family, familyOf, findFamilies } from './sharedPrefix.ts';
export { epochOrder, splitRecords } from './splitRecords.ts';
export { extractResponse, type PromptTemplate, parseTemplate, renderPrompt } from './template.ts';
