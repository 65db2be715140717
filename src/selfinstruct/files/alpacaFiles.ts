// The files of the Alpaca pipeline: regen.json (accepted tasks with their nearest) and alpaca_data.json (tasks only).
import { HuacayaError } from '../../base/index.ts';
import { parseRecords } from '../../data/index.ts';
import type { Accepted, Task } from '../task.ts';
import { PyFloat, pythonJson } from './pythonJson.ts';

export const similarities = (nearest: Accepted['nearest']) =>
  new Map(nearest.map(({ text, score }) => [text, new PyFloat(score)]));

/** regen.json as stanford_alpaca writes it: indent 4, nearest ten with scores, mean similarity. */
export function formatRegen(accepted: readonly Accepted[], ascii = true): string {
  const rows = accepted.map(({ instruction, input, output, nearest, mean }) => ({
    instruction,
    input,
    output,
    most_similar_instructions: similarities(nearest),
    avg_similarity_score: new PyFloat(mean),
  }));
  return pythonJson(rows, { indent: 4, ascii });
}

/** alpaca_data.json: the training data. */
export function formatAlpacaData(tasks: readonly Task[], ascii = true): string {
  const rows = tasks.map(({ instruction, input, output }) => ({ instruction, input, output }));
  return pythonJson(rows, { indent: 4, ascii });
}

export function neighbours(value: unknown): Accepted['nearest'] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([text, score]) => (typeof score === 'number' ? [{ text, score }] : []));
}

/**
 * Accepted tasks of a regen.json, or of any file of instruction rows (then without similarities).
 * @throws HuacayaError DATA_* with file and line.
 */
export function parseRegen(name: string, text: string): Accepted[] {
  // The shape of the rows is checked, with lines, by the reader of training data.
  const { records } = parseRecords(name, text);
  const rows: unknown = /^\ufeff?\s*\[/.test(text) ? JSON.parse(text.replace(/^\ufeff/, '')) : [];
  if (!Array.isArray(rows)) throw new HuacayaError('DATA_SYNTAX', `${name}: is not a list`);
  return records.map(({ instruction, input, output }, i) => ({
    instruction,
    input,
    output,
    request: -1,
    nearest: neighbours(rows[i]?.most_similar_instructions),
    mean: typeof rows[i]?.avg_similarity_score === 'number' ? rows[i].avg_similarity_score : 0,
  }));
}
