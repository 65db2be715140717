// The part of `assistant` that needs Node: models and adapters from their folders, the engine, the quantised cache.
export { checkId, idOfFolder } from './adapterIds.ts';
export { type AdapterNotes, adapterFolder, baseModelOf, notesFile, readNotes } from './adapterNotes.ts';
export {
  type AssistantOptions,
  type AssistantStorage,
  defaultBase,
  defaultModel,
  loadAssistant,
  storageFrom,
} from './loadAssistant.ts';
export { openModel, shortName } from './models.ts';
export { type AnswerPrecision, answerPrecisions, automaticPrecision, defaultContext } from './openGenerator.ts';
export { type QuantisedCache, quantisedCache } from './quantisedCache.ts';
export { type LoadedModel, type StartOptions, startModel } from './startModel.ts';
