// A YAML file of "key: value" lines, read with complaints that name file, line and the nearest known key.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { nearNames, usageError } from '../base/index.ts';
import { fileError } from '../base/node.ts';

/** @throws HuacayaError USAGE. */
export async function readYamlSettings(path: string, known: readonly string[]): Promise<Record<string, unknown>> {
  if (!existsSync(path)) throw usageError(`${path}: no such settings file`);
  const lines = new LineCounter();
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
  const document = parseDocument(text, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem) throw usageError(`${path}:${problem.linePos?.[0].line ?? 1}: ${problem.message.split('\n')[0]}`);
  if (document.contents === null) return {};
  if (!isMap(document.contents)) throw usageError(`${path}: holds no "key: value" lines`);
  for (const { key } of document.contents.items) {
    const name = isScalar(key) ? String(key.value) : String(key);
    if (known.includes(name)) continue;
    const line = isScalar(key) && key.range ? lines.linePos(key.range[0]).line : 1;
    const [near] = nearNames(name, known);
    throw usageError(`${path}:${line}: unknown key "${name}"`, near ? `Did you mean "${near}"?` : undefined);
  }
  return document.toJS() as Record<string, unknown>;
}
