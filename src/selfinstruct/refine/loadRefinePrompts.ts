// Reads a folder of prompts for judging and changing tasks.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { usageError } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';
import { parseRefinePrompts, type RefinePrompts, refineFiles } from './refinePrompts.ts';

/** @throws HuacayaError USAGE where there is no such folder, TEMPLATE_INVALID for a file that is missing or broken. */
export async function loadRefinePrompts(folder: string): Promise<RefinePrompts> {
  if (!existsSync(folder)) {
    throw usageError(`${folder}: no such folder of prompts`, 'Copy templates/refine/en and translate its files.');
  }
  const files: Record<string, string> = {};
  for (const name of refineFiles) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    files[name] = await readFile(path, 'utf8').catch((cause) => {
      throw fileError(path, cause);
    });
  }
  return parseRefinePrompts(folder, files);
}
