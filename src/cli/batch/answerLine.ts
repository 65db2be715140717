// A line of the file of answers: an Alpaca row whose output is the answer, and what is needed to go on after a stop.
import { createHash } from 'node:crypto';

export interface AnswerLine {
  /** Which row of the data it answers, from 1. */
  row: number;
  /** Hash of the row's question: a row that has changed is answered again. */
  key: string;
  /** Hash of everything that decides the answer: model, template, knobs. */
  settings: string;
  instruction: string;
  input: string;
  /** The answer. */
  output: string;
  [more: string]: unknown;
}

export const hashOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);

export const keyOf = (question: { instruction: string; input: string }): string =>
  hashOf([question.instruction, question.input]);

/** How every line of ours begins: what tells a torn line from somebody else's file. */
const beginning = '{"row":';

/** Keys in this order, so that every line has the same beginning. */
export const encodeLine = ({ row, key, settings, ...rest }: AnswerLine): string =>
  `${JSON.stringify({ row, key, settings, ...rest })}\n`;

/** Undefined for anything that we have not written. */
export function parseLine(text: string): Pick<AnswerLine, 'row' | 'key' | 'settings'> | undefined {
  if (!text.startsWith(beginning)) return undefined;
  try {
    const { row, key, settings } = JSON.parse(text);
    const ours = Number.isSafeInteger(row) && row >= 1 && typeof key === 'string' && typeof settings === 'string';
    return ours ? { row, key, settings } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the end of a file can be a line of ours that was cut: also zeros, which a crash of the machine leaves. */
export const isTorn = (text: string): boolean =>
  text.startsWith(beginning) || beginning.startsWith(text) || /^\0+$/.test(text);
