// Adapter folders on disk, as PEFT writes them: read with their mistakes of 2023 explained, written complete or not at all.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { openFile, writeFileAtomic, writeFolderAtomic } from '../base/node.ts';
import { openSafetensors, openTorchFile, type TensorFile } from '../formats/index.ts';
import { readJson } from './checkpointParts.ts';
import type { LlamaConfig } from './config.ts';
import type { LoraLayout } from './lora.ts';
import {
  type Adapter,
  adapterConfigFile,
  adapterConfigJson,
  adapterWeights,
  adapterWeightsFile,
  emptyAdapterHint,
  readAdapter,
} from './peft.ts';

const pickledWeightsFile = 'adapter_model.bin';
/** An empty dictionary took 443 or 888 bytes in 2023; a damaged file of that size was one, as no real adapter is so small. */
const emptyPickle = 1024;

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
        adapterConfigJson(adapter.layout.config, adapter.baseModel, adapter.layout.textPart),
      );
      for (const [name, text] of Object.entries(options.extraFiles ?? {})) {
        await writeFileAtomic(join(temporary, name), text);
      }
    },
    options,
  );
}

/** Reads an adapter folder. @throws HuacayaError ADAPTER_NOT_FOUND, BAD_ADAPTER, BAD_JSON, and for damaged weights. */
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
  const tensors = await openTensors(folder);
  try {
    return await readAdapter(tensors, json, model);
  } finally {
    await tensors.close();
  }
}

/**
 * adapter_model.safetensors, else adapter_model.bin.
 * @throws HuacayaError BAD_ADAPTER for one without tensors, FILE_NOT_FOUND for none at all, and what reading the formats throws.
 */
export async function openTensors(folder: string): Promise<TensorFile> {
  const plain = join(folder, adapterWeightsFile);
  const pickled = join(folder, pickledWeightsFile);
  if (existsSync(plain) || !existsSync(pickled)) return openSafetensors(await openFile(plain));
  const source = await openFile(pickled);
  const { size } = source;
  const file = await openTorchFile(source).catch((cause) => {
    throw size < emptyPickle ? emptyAdapter(folder, size, cause) : cause;
  });
  if (file.tensors.size > 0) return file;
  await file.close();
  throw emptyAdapter(folder, size);
}

function emptyAdapter(folder: string, size: number, cause?: unknown): HuacayaError {
  const beside = existsSync(join(folder, 'pytorch_model.bin'));
  const path = join(folder, pickledWeightsFile);
  return new HuacayaError('BAD_ADAPTER', `${path}: ${size} bytes: an adapter without tensors`, {
    hint: beside
      ? 'The script replaced model.state_dict before save_pretrained, and PEFT then saved nothing. pytorch_model.bin ' +
        `beside it is the trainer's own copy and may hold the adapter: copy it over ${pickledWeightsFile} and try again.`
      : emptyAdapterHint,
    cause,
  });
}
