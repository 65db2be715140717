// What an adapter folder is, without its model.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openTensors } from './adapterFiles.ts';
import { readJson } from './checkpointParts.ts';
import { goneBase } from './knownBases.ts';
import type { LoraConfig } from './lora.ts';
import { adapterConfigFile, loraConfigFromJson } from './peft.ts';

export interface AdapterFacts {
  path: string;
  config: LoraConfig;
  /** As the adapter names it; '' where it names none. */
  baseModel: string;
  /** What to take where that base is gone from the hub. */
  baseHint?: string;
  file: { name: string; bytes: number; tensors: number; parameters: number };
}

/** The folder itself or, of a run, the adapter in it; undefined where neither is one. */
export function adapterFolderAt(path: string): string | undefined {
  return [path, join(path, 'adapter')].find((folder) => existsSync(join(folder, adapterConfigFile)));
}

/** @throws HuacayaError BAD_ADAPTER, BAD_JSON, FILE_NOT_FOUND, and what reading the formats throws. */
export async function inspectAdapter(folder: string): Promise<AdapterFacts> {
  const path = join(folder, adapterConfigFile);
  const json = await readJson(path);
  const tensors = await openTensors(folder);
  try {
    const { config, baseModel } = loraConfigFromJson(path, json, tensors.tensors.keys());
    const shapes = [...tensors.tensors.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    const baseHint = goneBase(baseModel);
    return {
      path: folder,
      config,
      baseModel,
      ...(baseHint ? { baseHint } : {}),
      file: {
        name: tensors.name,
        bytes: statSync(tensors.name).size,
        tensors: shapes.length,
        parameters: shapes.reduce((a, b) => a + b, 0),
      },
    };
  } finally {
    await tensors.close();
  }
}
