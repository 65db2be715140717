// How adapters are called: by the name that they were given, else by their folder.
import { basename, dirname, resolve } from 'node:path';
import { usageError } from '../base/index.ts';

/** Letters and digits of any script and a few signs: it is typed, stands in URLs, and is printed. */
const wellFormed = /^[\p{L}\p{N}][\p{L}\p{N}._:@+-]{0,99}$/u;

/** @throws HuacayaError USAGE. */
export function checkId(id: string): string {
  if (wellFormed.test(id)) return id;
  throw usageError(
    `${JSON.stringify(id)} is no name for an adapter`,
    'Use up to 100 letters, digits and . _ : @ + -, beginning with a letter or digit.',
  );
}

/** `runs/demo/adapter` is called demo, because every run has a folder `adapter`. */
export function idOfFolder(folder: string, taken: Iterable<string> = []): string {
  const path = resolve(folder);
  const inRun = basename(path) === 'adapter' && basename(dirname(path)) !== '';
  const name = basename(inRun ? dirname(path) : path)
    .replace(/[^\p{L}\p{N}._:@+-]+/gu, '-')
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .slice(0, 90);
  const id = name || 'adapter';
  const used = new Set(taken);
  if (!used.has(id)) return id;
  let n = 2;
  while (used.has(`${id}-${n}`)) n++;
  return `${id}-${n}`;
}
