// What every layout of a checkpoint has in common: what opening gives, and how its small files are read.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { HuacayaError } from '../base/index.ts';
import { fileError } from '../base/node.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import type { LlamaConfig } from './config.ts';
import type { WeightSource } from './weights.ts';

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
  /** What was wrong or left out in the files and how it was mended, one sentence each; the tokenizer's included. */
  repairs: readonly string[];
  /** As the files name it. */
  license?: string;
}

/** Number types by how many elements have them. */
export function storedAs(tensors: ReadonlyMap<string, { shape: readonly number[]; dtype: string }>): string[] {
  const sizes = new Map<string, number>();
  for (const { shape, dtype } of tensors.values()) {
    sizes.set(dtype, (sizes.get(dtype) ?? 0) + shape.reduce((a, b) => a * b, 1));
  }
  return [...sizes].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype);
}

/** @throws HuacayaError FILE_NOT_FOUND, FILE_UNREADABLE. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw fileError(path, cause);
  }
}

/** @throws HuacayaError FILE_NOT_FOUND, FILE_UNREADABLE, BAD_JSON. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HuacayaError('BAD_JSON', `${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Undefined where there is no such file. @throws HuacayaError FILE_UNREADABLE, BAD_JSON. */
export const readJsonIfThere = async (path: string): Promise<unknown> =>
  existsSync(path) ? readJson(path) : undefined;
