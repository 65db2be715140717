// Adapter folders on disk, as PEFT writes them: read with their mistakes of 2023 explained, written complete or not at all.
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { fileError, openFile, writeFileAtomic, writeFolderAtomic } from '../base/node.ts';
import { openSafetensors } from '../formats/index.ts';
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
/** An empty dictionary takes 443 or 888 bytes; the smallest real adapter takes more. */
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
  if (!existsSync(inFolder(adapterWeightsFile))) refusePickle(folder);
  const tensors = await openSafetensors(await openFile(inFolder(adapterWeightsFile)));
  try {
    return await readAdapter(tensors, json, model);
  } finally {
    await tensors.close();
  }
}

/** adapter_model.bin without a .safetensors: what can be said about it. Returns when there is none. */
function refusePickle(folder: string): void {
  const path = join(folder, pickledWeightsFile);
  if (!existsSync(path)) return;
  const { size } = statSync(path);
  if (size < emptyPickle) {
    const beside = existsSync(join(folder, 'pytorch_model.bin'));
    throw new HuacayaError('BAD_ADAPTER', `${path}: ${size} bytes: an adapter without tensors`, {
      hint: beside
        ? 'The script replaced model.state_dict before save_pretrained, and PEFT then saved nothing. pytorch_model.bin ' +
          `beside it is the trainer's own copy and may hold the adapter: load it with PyTorch and save it as ${adapterWeightsFile}.`
        : emptyAdapterHint,
    });
  }
  throw new HuacayaError('BAD_ADAPTER', `${path}: a PyTorch file, which this version does not read`, {
    hint: `Load it with PyTorch (weights_only=True) and save it with the safetensors package as ${adapterWeightsFile}.`,
  });
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HuacayaError('BAD_JSON', `${path}: ${(cause as Error).message}`, { cause });
  }
}
