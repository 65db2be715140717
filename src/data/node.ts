// The part of `data` that needs Node: data files and templates on disk.
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HuacayaError } from '../base/index.ts';
import { fileError, openFile } from '../base/node.ts';
import { parseRecords } from './parseRecords.ts';
import type { AlpacaRecord, RecordOptions } from './record.ts';
import { type PromptTemplate, parseTemplate } from './template.ts';

/** A JavaScript string cannot be longer (V8, 64-bit). */
const MAX_BYTES = 2 ** 29 - 24;

async function readText(path: string): Promise<string> {
  const file = await openFile(path);
  let bytes: Uint8Array;
  try {
    if (file.size > MAX_BYTES) {
      throw new HuacayaError(
        'DATA_TOO_LARGE',
        `${path}: has ${file.size} bytes, but at most ${MAX_BYTES} can be read`,
        {
          hint: 'Split the file.',
        },
      );
    }
    bytes = await file.read(0, file.size);
  } finally {
    await file.close();
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HuacayaError('DATA_ENCODING', `${path}: is not UTF-8 text`, {
      hint: 'Save it as UTF-8. Compressed and Parquet files are not read.',
      cause,
    });
  }
}

/** Reads a data file (UTF-8, JSON list or JSON Lines). @throws HuacayaError FILE_*, DATA_* with file and line. */
export async function readRecords(path: string, options: RecordOptions = {}): Promise<{ records: AlpacaRecord[] }> {
  return parseRecords(path, await readText(path), options);
}

// Two levels up is the package's root both from src/data and from dist/data.
const templatesFolder = new URL('../../templates/', import.meta.url);

/** Names of the built-in templates, sorted. */
export async function templateNames(): Promise<string[]> {
  const folder = fileURLToPath(templatesFolder);
  const files = await readdir(folder).catch((cause: unknown) => {
    throw fileError(folder, cause);
  });
  return files
    .filter((file) => file.endsWith('.json'))
    .map((file) => basename(file, '.json'))
    .sort();
}

/**
 * A built-in template by name, or a user's file: anything with a slash in it, or that ends in `.json`. '' = alpaca.
 * @throws HuacayaError TEMPLATE_NOT_FOUND (exit code 2, lists the names), TEMPLATE_INVALID, FILE_*.
 */
export async function loadTemplate(nameOrPath: string): Promise<PromptTemplate> {
  const isPath = /[/\\]|\.json$/i.test(nameOrPath);
  if (isPath) return parseTemplate(nameOrPath, await readText(nameOrPath));
  const name = nameOrPath || 'alpaca';
  const names = await templateNames();
  if (!names.includes(name)) {
    throw new HuacayaError(
      'TEMPLATE_NOT_FOUND',
      `there is no prompt template "${name}"; the built-in ones are ${names.join(', ')}`,
      {
        hint: 'For a template of your own, give the path of its .json file.',
        exitCode: 2,
      },
    );
  }
  return parseTemplate(name, await readText(fileURLToPath(new URL(`${name}.json`, templatesFolder))));
}
