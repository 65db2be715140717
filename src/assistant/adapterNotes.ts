// What an adapter needs to be asked the way it was trained: kept next to the PEFT files, which have no place for it.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';
import { fileError } from '../base/node.ts';

export const notesFile = 'huacaya.json';
const configFile = 'adapter_config.json';

export interface AdapterNotes {
  /** Name or path of the prompt template. */
  prompt_template_name: string;
  base_model: string;
  huacaya_version: string;
}

/** The folder with the adapter's files: as given, or `adapter` in a run folder. @throws HuacayaError ADAPTER_NOT_FOUND. */
export function adapterFolder(folder: string): string {
  for (const path of [folder, join(folder, 'adapter')]) if (existsSync(join(path, configFile))) return path;
  throw new HuacayaError('ADAPTER_NOT_FOUND', `${folder}: has no ${configFile}`, {
    hint: 'Name the folder that training wrote, e.g. runs/my-run/adapter.',
  });
}

async function readObject(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HuacayaError('BAD_JSON', `${path}: ${(cause as Error).message}`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new HuacayaError('BAD_JSON', `${path}: is not a JSON object`);
}

/** The notes of an adapter folder (or of the run folder around it); undefined for adapters made elsewhere. */
export async function readNotes(folder: string): Promise<Partial<AdapterNotes> | undefined> {
  for (const path of [join(folder, notesFile), join(folder, 'adapter', notesFile)]) {
    if (!existsSync(path)) continue;
    const notes = await readObject(path);
    for (const key of ['prompt_template_name', 'base_model'] as const) {
      if (notes[key] === undefined || typeof notes[key] === 'string') continue;
      throw new HuacayaError('BAD_JSON', `${path}: ${key} is ${JSON.stringify(notes[key])}, not a text`);
    }
    return notes as Partial<AdapterNotes>;
  }
  return undefined;
}

/**
 * The model that an adapter was trained on, by our notes or by PEFT's own file.
 * @throws HuacayaError ADAPTER_NOT_FOUND, BAD_JSON.
 */
export async function baseModelOf(folder: string): Promise<string | undefined> {
  const noted = (await readNotes(folder))?.base_model;
  if (noted) return noted;
  const { base_model_name_or_path: name } = await readObject(join(adapterFolder(folder), configFile));
  return typeof name === 'string' && name !== '' ? name : undefined;
}
