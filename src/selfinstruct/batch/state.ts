// How far each part of a batch has come: one small file, replaced as a whole at every step.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../../base/index.ts';
import { writeFileAtomic } from '../../base/node.ts';
import { readLines } from './lines.ts';

export type PartStatus =
  | 'prepared'
  /** The file may be at the provider: after a kill it is looked for there. */
  | 'uploading'
  | 'uploaded'
  /** The batch may have been made: after a kill it is looked for there. */
  | 'creating'
  | 'submitted'
  | 'collected';

export interface Part {
  /** `requests-0001`: also the name of its files. */
  name: string;
  status: PartStatus;
  model: string;
  api: 'chat' | 'completions';
  requests: number;
  bytes: number;
  sha256: string;
  /** How often its requests have been in a batch before. */
  tries: number;
  fileId?: string;
  batchId?: string;
  /** In the end: what the provider called it, and what became of the requests. */
  result?: { status: string; answered: number; again: number; refused: number };
}

export interface BatchState {
  version: 1;
  parts: Part[];
}

/** What is known about a request without its text. */
export interface PartEntry {
  id: string;
  hash: string;
  /** The most that it can take, at half price. */
  tokens: number;
  cost: number;
  maxTokens: number;
  stop?: readonly string[];
}

export const batchFolder = (folder: string) => join(folder, 'batch');
export const requestsPath = (folder: string, { name }: { name: string }) => join(batchFolder(folder), `${name}.jsonl`);
export const entriesPath = (folder: string, { name }: { name: string }) =>
  join(batchFolder(folder), `${name}.ids.jsonl`);
export const resultsPath = (folder: string, { name }: { name: string }, kind: 'output' | 'error') =>
  join(batchFolder(folder), `${name}.${kind}.jsonl`);

const statePath = (folder: string) => join(batchFolder(folder), 'state.json');

export async function readState(folder: string): Promise<BatchState> {
  const path = statePath(folder);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { version: 1, parts: [] };
    throw cause;
  }
  try {
    const state = JSON.parse(text) as BatchState;
    if (state.version === 1 && Array.isArray(state.parts)) return state;
  } catch {}
  throw new HuacayaError('BATCH_STATE', `${path}: is not a state of batches that this version knows`, {
    hint: 'Put the file back as it was: it says which batches are under way.',
  });
}

export const writeState = (folder: string, state: BatchState): Promise<void> =>
  writeFileAtomic(statePath(folder), `${JSON.stringify(state, null, 2)}\n`);

export async function readEntries(folder: string, part: Part): Promise<PartEntry[]> {
  const entries: PartEntry[] = [];
  for await (const line of readLines(entriesPath(folder, part))) entries.push(JSON.parse(line) as PartEntry);
  return entries;
}
