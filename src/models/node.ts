// Opens a model from a path: a folder as on the Hugging Face hub, or a GGUF file.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { fileError, openFile, writeFileAtomic, writeFolderAtomic } from '../base/node.ts';
import { openGguf, openSafetensors, openShardedSafetensors } from '../formats/index.ts';
import { fromGguf, fromTokenizerJson, type Tokenizer } from '../tokenizer/index.ts';
import { bitsandbytesWeights, isBitsandbytes } from './bitsandbytesWeights.ts';
import { configFromGguf, configFromJson, type LlamaConfig } from './config.ts';
import type { LoraLayout } from './lora.ts';
import {
  type Adapter,
  adapterConfigFile,
  adapterConfigJson,
  adapterWeights,
  adapterWeightsFile,
  readAdapter,
} from './peft.ts';
import { checkQuantisationConfig } from './quantisationConfig.ts';
import { ggufWeights, huggingFaceWeights, type WeightSource } from './weights.ts';

export { fingerprintFiles } from './fingerprint.ts';

export interface Checkpoint {
  /** Where it was opened from. */
  path: string;
  /** How it is called in messages and adapter files. */
  name: string;
  config: LlamaConfig;
  weights: WeightSource;
  /** Every file that says what the weights are, for `fingerprintFiles`. */
  files: readonly string[];
  tokenizer: Tokenizer;
  /** What the weights are stored as, the most frequent first, e.g. BF16. */
  storedAs: readonly string[];
}

function storedAs(tensors: ReadonlyMap<string, { shape: readonly number[]; dtype: string }>): string[] {
  const sizes = new Map<string, number>();
  for (const { shape, dtype } of tensors.values()) {
    sizes.set(dtype, (sizes.get(dtype) ?? 0) + shape.reduce((a, b) => a * b, 1));
  }
  return [...sizes].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype);
}

/**
 * @param path a folder with config.json, tokenizer.json and *.safetensors; a .gguf file; or a folder with one of those.
 * @throws HuacayaError with the file and what is wrong with it; names and shapes of all weights are checked here.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  if (!existsSync(path)) {
    throw new HuacayaError('MODEL_NOT_FOUND', `${path}: no such model file or folder`, {
      hint: 'Name a folder with config.json, a .gguf file, or pull one: huacaya pull smollm2-135m-instruct',
    });
  }
  if (!statSync(path).isDirectory()) return openGgufCheckpoint(path);
  if (existsSync(join(path, 'config.json'))) return openHuggingFaceFolder(path);
  const ggufs = readdirSync(path).filter((f) => f.endsWith('.gguf'));
  if (ggufs.length === 1) return openGgufCheckpoint(join(path, ggufs[0]!));
  throw new HuacayaError('MODEL_NOT_FOUND', `${path}: holds neither config.json nor exactly one .gguf file`, {
    hint: ggufs.length > 1 ? `Name one of them: ${ggufs.join(', ')}` : 'Is this a model folder?',
  });
}

async function openGgufCheckpoint(path: string): Promise<Checkpoint> {
  const source = await openFile(path);
  try {
    const file = await openGguf(source);
    const config = configFromGguf(path, file.metadata, file.tensors);
    return {
      path,
      name: basename(path),
      config,
      weights: ggufWeights(file, config),
      files: [path],
      tokenizer: fromGguf(file.metadata),
      storedAs: storedAs(file.tensors),
    };
  } catch (e) {
    await source.close();
    throw e;
  }
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw fileError(path, cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HuacayaError('BAD_JSON', `${path}: ${(cause as Error).message}`, { cause });
  }
}

async function openHuggingFaceFolder(folder: string): Promise<Checkpoint> {
  const file = (name: string) => join(folder, name);
  const configJson = await readJson(file('config.json'));
  const config = configFromJson(file('config.json'), configJson);
  checkQuantisationConfig(file('config.json'), configJson);
  const optional = async (name: string) => (existsSync(file(name)) ? readJson(file(name)) : undefined);
  if (!existsSync(file('tokenizer.json'))) {
    throw new HuacayaError('NO_TOKENIZER', `${folder}: has no tokenizer.json`, {
      hint: 'This version does not read tokenizer.model; a GGUF file of the same model carries its tokenizer too.',
    });
  }
  const tokenizerConfig = ((await optional('tokenizer_config.json')) ?? {}) as Record<string, unknown>;
  const template = file('chat_template.jinja');
  if (existsSync(template)) tokenizerConfig.chat_template ??= await readFile(template, 'utf8');
  const tokenizer = fromTokenizerJson(
    await readJson(file('tokenizer.json')),
    tokenizerConfig,
    await optional('special_tokens_map.json'),
  );
  const index = file('model.safetensors.index.json');
  const files = [file('config.json'), ...(existsSync(index) ? [index] : [])];
  // Called again for shards whose data is read.
  const openWeights = (name: string) => {
    files.push(file(name));
    return openFile(file(name));
  };
  const tensors = existsSync(index)
    ? await openShardedSafetensors(await readFile(index, 'utf8'), openWeights)
    : await openSafetensors(await openWeights('model.safetensors'));
  try {
    const weights = isBitsandbytes(tensors)
      ? await bitsandbytesWeights(tensors, config)
      : huggingFaceWeights(tensors, config);
    const name = basename(folder);
    const dtypes = storedAs(tensors.tensors);
    return { path: folder, name, config, weights, files: [...new Set(files)], tokenizer, storedAs: dtypes };
  } catch (e) {
    await tensors.close();
    throw e;
  }
}

/** Writes an adapter folder, complete or not at all. @throws HuacayaError BAD_ADAPTER, USAGE when it exists, NO_SPACE. */
export async function saveAdapter(
  folder: string,
  adapter: { layout: LoraLayout; params: Float32Array; baseModel: string },
  options: { overwrite?: boolean; extraFiles?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const weights = adapterWeights(adapter.layout, adapter.params);
  await writeFolderAtomic(
    folder,
    async (temporary) => {
      await writeFileAtomic(join(temporary, adapterWeightsFile), weights);
      await writeFileAtomic(
        join(temporary, adapterConfigFile),
        adapterConfigJson(adapter.layout.config, adapter.baseModel),
      );
      for (const [name, text] of Object.entries(options.extraFiles ?? {})) {
        await writeFileAtomic(join(temporary, name), text);
      }
    },
    options,
  );
}

/** Reads an adapter folder. @throws HuacayaError ADAPTER_NOT_FOUND, BAD_ADAPTER, BAD_JSON. */
export async function openAdapter(folder: string, model: LlamaConfig): Promise<Adapter> {
  const inFolder = (name: string) => join(folder, name);
  if (!existsSync(inFolder(adapterConfigFile))) {
    // A run folder is a natural thing to name.
    const inner = inFolder('adapter');
    if (existsSync(join(inner, adapterConfigFile))) return openAdapter(inner, model);
    throw new HuacayaError('ADAPTER_NOT_FOUND', `${folder}: has no ${adapterConfigFile}`, {
      hint: 'Name the folder that training wrote, e.g. runs/my-run/adapter.',
    });
  }
  const json = await readJson(inFolder(adapterConfigFile));
  const tensors = await openSafetensors(await openFile(inFolder(adapterWeightsFile)));
  try {
    return await readAdapter(tensors, json, model);
  } finally {
    await tensors.close();
  }
}
