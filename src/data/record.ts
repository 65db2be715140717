// One row of instruction data: the three keys of the Alpaca file format, checked.
import { HuacayaError } from '../base/index.ts';

export interface AlpacaRecord {
  instruction: string;
  /** '' when the row has no input. */
  input: string;
  output: string;
  /** 1-based line of the file where the row starts. */
  line: number;
}

/** Keys of other well-known layouts, for the "did you mean". */
const otherNames: Record<'instruction' | 'output', readonly string[]> = {
  instruction: ['prompt', 'question', 'query', 'instruct', 'task', 'user', 'human'],
  output: ['completion', 'response', 'answer', 'target', 'assistant', 'reply', 'chosen'],
};
const chatKeys = ['messages', 'conversations'];
const rowShape = 'A row has the keys "instruction" and "output", and optionally "input"; their values are strings.';

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function quoteAll(keys: readonly string[]): string {
  const shown = keys.slice(0, 12).map((key) => JSON.stringify(key));
  return shown.join(', ') + (keys.length > shown.length ? ` and ${keys.length - shown.length} more` : '');
}

function missingKeyHint(key: 'instruction' | 'output', present: readonly string[]): string {
  const meant = present.find((name) => [key, ...otherNames[key]].includes(name.trim().toLowerCase()));
  if (meant !== undefined) return `Did you mean ${JSON.stringify(meant)}? Rename it to "${key}". ${rowShape}`;
  const chat = present.find((name) => chatKeys.includes(name.toLowerCase()));
  if (chat !== undefined)
    return `Chat rows ("${chat}") are not read: write one question and its answer a row. ${rowShape}`;
  return rowShape;
}

export interface RecordOptions {
  /** The rows are questions: `output` may be absent or null, and is '' then. */
  questionsOnly?: boolean;
}

/**
 * Turns a parsed JSON value into a record; keys other than the three are ignored, `input` may be absent or null.
 * @throws HuacayaError DATA_ROW naming the file, the line, the key and the keys that are there.
 */
export function toRecord(
  name: string,
  line: number,
  row: unknown,
  { questionsOnly = false }: RecordOptions = {},
): AlpacaRecord {
  const fail = (problem: string, hint: string) => new HuacayaError('DATA_ROW', `${name}:${line}: ${problem}`, { hint });
  if (row === null || typeof row !== 'object' || Array.isArray(row)) {
    throw fail(`a row must be an object, but this one is ${kindOf(row)}`, rowShape);
  }
  const fields = new Map<string, unknown>(Object.entries(row));
  const keys = [...fields.keys()];
  const text = (key: 'instruction' | 'input' | 'output', absent?: string): string => {
    const value = fields.get(key);
    if (absent !== undefined && (value === undefined || value === null)) return absent;
    if (typeof value === 'string') return value;
    if (!fields.has(key)) {
      const there = keys.length > 0 ? `its keys are ${quoteAll(keys)}` : 'it has no keys';
      throw fail(`the row has no "${key}"; ${there}`, missingKeyHint(key as 'instruction' | 'output', keys));
    }
    throw fail(
      `"${key}" must be a string, but it is ${kindOf(value)}; the keys of the row are ${quoteAll(keys)}`,
      rowShape,
    );
  };
  return {
    instruction: text('instruction'),
    input: text('input', ''),
    output: text('output', questionsOnly ? '' : undefined),
    line,
  };
}
