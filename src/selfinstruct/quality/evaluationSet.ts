// Evaluation sets as they are published: JSON or JSON Lines with rows of any keys.
import { HuacayaError } from '../../base/index.ts';

export interface EvaluationRow {
  /** 1-based. */
  row: number;
  /** What is asked, context included; '' where no key is known to hold it. */
  question: string;
  /** Every string of the row, at any depth. */
  texts: readonly string[];
}

export interface EvaluationSet {
  name: string;
  rows: readonly EvaluationRow[];
}

/** Keys that hold the question, the likeliest first. */
const questionKeys = [
  'instruction',
  'question',
  'prompt',
  'query',
  'problem',
  'goal',
  'ctx',
  'sentence',
  'text',
  'input',
];

/** Conversations: the first message of the user. */
function firstMessage(row: Record<string, unknown>): string | undefined {
  const messages = row.messages ?? row.conversations;
  if (!Array.isArray(messages)) return undefined;
  const asked = messages.find((m) => ['user', 'human'].includes(m?.role ?? m?.from));
  const text = asked?.content ?? asked?.value;
  return typeof text === 'string' ? text : undefined;
}

function questionOf(row: Record<string, unknown>): string {
  const key = questionKeys.find((k) => typeof row[k] === 'string' && row[k] !== '');
  if (key === undefined) return firstMessage(row) ?? '';
  // Self-Instruct and Alpaca: the instruction says what to do, the input with what.
  const input = key === 'instruction' && typeof row.input === 'string' ? row.input : '';
  return input === '' ? (row[key] as string) : `${row[key]}\n${input}`;
}

function stringsOf(value: unknown, into: string[] = []): string[] {
  if (typeof value === 'string') into.push(value);
  else if (value !== null && typeof value === 'object') for (const v of Object.values(value)) stringsOf(v, into);
  return into;
}

/**
 * @param text a JSON list of objects, or one object a line.
 * @throws HuacayaError DATA_SYNTAX, DATA_ROW with the file and the row, DATA_EMPTY.
 */
export function parseEvaluationSet(name: string, text: string): EvaluationSet {
  const body = text.replace(/^\ufeff/, '').trim();
  const values = body.startsWith('[')
    ? (parse(name, body) as unknown[])
    : body.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [parse(`${name}:${i + 1}`, line)]));
  if (values.length === 0) throw new HuacayaError('DATA_EMPTY', `${name}: holds no rows`);
  const rows = values.map((value, i) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      throw new HuacayaError('DATA_ROW', `${name}: row ${i + 1} must be an object`);
    }
    return { row: i + 1, question: questionOf(value as Record<string, unknown>), texts: stringsOf(value) };
  });
  return { name, rows };
}

function parse(place: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const hint = 'An evaluation set is a JSON list of rows, or JSON Lines with one row a line.';
    throw new HuacayaError('DATA_SYNTAX', `${place}: is not JSON`, { hint, cause });
  }
}
