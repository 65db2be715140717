// What an adapter needs to be asked the way it was trained: kept next to the PEFT files, which have no place for it.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../base/index.ts';

export const notesFile = 'huacaya.json';

export interface AdapterNotes {
  /** Name or path of the prompt template. */
  prompt_template_name: string;
  base_model: string;
  huacaya_version: string;
}

/** The notes of an adapter folder (or of the run folder around it); undefined for adapters made elsewhere. */
export async function readNotes(folder: string): Promise<AdapterNotes | undefined> {
  for (const path of [join(folder, notesFile), join(folder, 'adapter', notesFile)]) {
    if (!existsSync(path)) continue;
    try {
      return JSON.parse(await readFile(path, 'utf8')) as AdapterNotes;
    } catch (cause) {
      throw new HuacayaError('BAD_JSON', `${path}: ${(cause as Error).message}`, { cause });
    }
  }
  return undefined;
}
