// From names and folders to an assistant that answers.
import { homedir } from 'node:os';
import { HuacayaError, usageError } from '../base/index.ts';
import { type Environment, hubSettings } from '../hub/index.ts';
import { hasEffect } from '../models/index.ts';
import { openAdapter } from '../models/node.ts';
import { checkId } from './adapterIds.ts';
import { adapterFolder, baseModelOf } from './adapterNotes.ts';
import type { Assistant } from './assistant.ts';
import { choosePrompts } from './choosePrompts.ts';
import { createAssistant, type OpenedAdapter } from './createAssistant.ts';
import type { LoadReport } from './loadReport.ts';
import { openModel, shortName } from './models.ts';
import { type AnswerPrecision, checkAnswerPrecision, openGenerator } from './openGenerator.ts';
import { cacheWanted } from './quantisedCache.ts';

/** Where models and converted weights are. */
export interface AssistantStorage {
  cacheDir: string;
  hubCacheDir: string;
  /** Converted weights are kept for the next start. */
  keepQuantised: boolean;
}

/** What the environment says about it; only the command line and the library's entry hand one in. */
export async function storageFrom(env: Environment): Promise<AssistantStorage> {
  const { cacheDir, hubCacheDir } = await hubSettings(env, homedir(), process.platform);
  return { cacheDir, hubCacheDir, keepQuantised: cacheWanted(env.HUACAYA_QUANTISED_CACHE) };
}

export interface AssistantOptions {
  /** Folders by name. */
  adapters?: Readonly<Record<string, string>>;
  /** Folder of an adapter that is worked into the base model's weights; its prompt template becomes the model's. */
  mergeAdapter?: string;
  /** Default: auto. */
  precision?: AnswerPrecision;
  /** Cores; default: all. */
  threads?: number;
  /** For the base model and all adapters; default: what each was trained with. */
  promptTemplateName?: string;
  /** Requests that run at the same time; default 4. */
  slots?: number;
  /** Most tokens of prompt and answer together; default: 4,096, upper bound: what the model was made for. */
  contextLength?: number;
  /** int8: keys and values take a quarter of the memory; long prompts take longer. Default: fp32. */
  kvPrecision?: 'fp32' | 'int8';
  /** false: converted weights are not kept for the next start. */
  quantisedCache?: boolean;
  onProgress?: LoadReport['progress'];
  warn?: LoadReport['warn'];
}

export const defaultModel = 'smollm2-135m-instruct';

/** The model that is asked where none is named: what the first adapter was trained on. */
export async function defaultBase(adapters: Readonly<Record<string, string>>): Promise<string> {
  for (const folder of Object.values(adapters)) {
    adapterFolder(folder);
    const base = await baseModelOf(folder);
    if (base) return base;
  }
  return defaultModel;
}

function checkNumbers({ slots, contextLength, precision }: AssistantOptions): void {
  if (slots !== undefined && !(Number.isSafeInteger(slots) && slots >= 1 && slots <= 256)) {
    throw usageError(`slots is ${slots}; use a whole number from 1 to 256`);
  }
  if (contextLength !== undefined && !(Number.isSafeInteger(contextLength) && contextLength >= 2)) {
    throw usageError(`context_length is ${contextLength}; use a whole number of at least 2`);
  }
  if (precision !== undefined) checkAnswerPrecision(precision);
}

/**
 * @param nameOrPath a known name, a folder or a .gguf file; undefined: what the first adapter was trained on.
 * @throws HuacayaError with one clear line; what is wrong with an option, a template or an adapter is found before the
 *   weights are loaded.
 */
export async function loadAssistant(
  nameOrPath: string | undefined,
  options: AssistantOptions & { storage: AssistantStorage },
): Promise<Assistant> {
  const { adapters = {}, precision = 'auto', threads, promptTemplateName, slots = 4, contextLength, storage } = options;
  const report: LoadReport = { warn: options.warn ?? (() => {}), progress: options.onProgress ?? (() => {}) };
  checkNumbers(options);
  for (const [id, folder] of Object.entries(adapters)) {
    checkId(id);
    adapterFolder(folder);
  }
  const { mergeAdapter } = options;
  const name = nameOrPath ?? (await defaultBase({ ...adapters, ...(mergeAdapter ? { merged: mergeAdapter } : {}) }));
  const id = shortName(name);
  if (adapters[id] !== undefined) {
    throw usageError(`an adapter is called ${JSON.stringify(id)}, as its model is`, 'Give it another name.');
  }
  const checkpoint = await openModel(name, storage);
  const { tokenizer, config } = checkpoint;
  const open = async (folder: string): Promise<OpenedAdapter> => {
    const prompts = await choosePrompts(tokenizer, promptTemplateName, adapterFolder(folder));
    const adapter = await openAdapter(folder, config);
    if (!hasEffect(adapter.layout, adapter.params)) report.warn(`${folder}: every lora_B is zero: it changes nothing`);
    return { adapter, prompts };
  };
  const opened = new Map<string, OpenedAdapter>();
  let prompts: OpenedAdapter['prompts'];
  let merged: OpenedAdapter | undefined;
  try {
    for (const repair of checkpoint.repairs) report.warn(`${id}: ${repair}`);
    merged = mergeAdapter === undefined ? undefined : await open(mergeAdapter);
    prompts = merged?.prompts ?? (await choosePrompts(tokenizer, promptTemplateName));
    if (prompts.remembers && !tokenizer.chatTemplate) {
      throw new HuacayaError('NO_CHAT_TEMPLATE', `${id} has no chat template`, {
        hint: 'It is a base model: use a prompt template such as alpaca.',
      });
    }
    for (const folder of Object.values(adapters)) opened.set(folder, await open(folder));
  } catch (e) {
    await checkpoint.weights.close();
    throw e;
  }
  const generator = await openGenerator(report, checkpoint, {
    precision,
    slots,
    threads,
    contextLength,
    ...(options.kvPrecision ? { kvPrecision: options.kvPrecision } : {}),
    ...(merged ? { merged: { adapter: merged.adapter } } : {}),
    cacheDir: options.quantisedCache !== false && storage.keepQuantised ? storage.cacheDir : undefined,
  });
  try {
    const assistant = createAssistant({
      id,
      tokenizer,
      generator,
      prompts,
      checkId,
      // What was read already is not read again.
      async openAdapter(folder) {
        const found = opened.get(folder);
        opened.delete(folder);
        return found ?? (await open(folder));
      },
    });
    for (const [name, folder] of Object.entries(adapters)) await assistant.addAdapter(name, folder);
    return assistant;
  } catch (e) {
    await generator.close();
    throw e;
  }
}
