// The library: a model to ask, and the pieces that the command line is made of.
import { createModel, languageModel, type Model } from './assistant/index.ts';
import { type AssistantOptions, loadAssistant, storageFrom } from './assistant/node.ts';

export type { AnswerOptions, Assistant, ModelEntry, Question } from './assistant/index.ts';
export type { AssistantOptions, Model };
export { createModel, languageModel, loadAssistant, storageFrom };

/**
 * Loads a model and its adapters.
 * @param nameOrPath a name such as smollm2-135m-instruct, a folder, or a .gguf file.
 * @param env where models are (HF_HOME, HF_HUB_CACHE, HUACAYA_CACHE ...): the only place where the library looks at it.
 * @throws HuacayaError with one clear line.
 */
export async function loadModel(
  nameOrPath: string,
  options: AssistantOptions = {},
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Model> {
  return createModel(await loadAssistant(nameOrPath, { ...options, storage: await storageFrom(env) }));
}

export { HuacayaError } from './base/index.ts';
export { buildExamples, packExamples, parseRecords, renderPrompt } from './data/index.ts';
export { loadTemplate, readRecords } from './data/node.ts';
export { createRuntime } from './engine/node.ts';
export { createGenerator } from './infer/index.ts';
export { openAdapter, openCheckpoint, saveAdapter } from './models/node.ts';
export { createDecodeEngine, DecodeEngine, InferencePass, loadModel as loadResidentModel } from './runner/index.ts';
export { train } from './train/index.ts';
