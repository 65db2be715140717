// Reads a folder of prompts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { usageError } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';
import { type PromptSet, parsePromptSet, promptFiles } from './promptSet.ts';

/** @throws HuacayaError USAGE where there is no such folder, TEMPLATE_INVALID for a file that is missing or broken. */
export async function loadPromptSet(folder: string): Promise<PromptSet> {
  const files: Record<string, string> = {};
  for (const name of promptFiles) {
    const path = join(folder, name);
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') throw fileError(path, cause);
      return undefined;
    });
    if (text !== undefined) files[name] = text;
  }
  if (Object.keys(files).length === 0) {
    throw usageError(
      `${folder}: holds no prompts`,
      'Copy templates/instruct/en, translate its files, and name the copy with --templates.',
    );
  }
  return parsePromptSet(folder, files);
}
