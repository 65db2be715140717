// The lines of a journal. One JSON object each; the kind is the first key.
import { HuacayaError } from '../../base/index.ts';
import { fromPico, toPico } from './money.ts';
import type { TeacherReply } from './types.ts';

/** First line: the format, and a random name that makes idempotency keys of two runs differ. */
export interface HeadRecord {
  journal: 1;
  run: string;
}

/** Written before a request is sent. */
export interface AskedRecord {
  asked: string;
  hash: string;
  endpoint: string;
  /** The most that it can take. */
  tokens: number;
  cost: number;
  /** Name of the batch that it goes with. */
  batch?: string;
}

/** The last try of this id cost nothing: it never arrived, or was refused. */
export interface UnpaidRecord {
  unpaid: string;
}

export interface AnsweredRecord {
  answered: string;
  hash: string;
  endpoint: string;
  /** All tries of this id were one to the server. */
  settles: boolean;
  /** Tokens were not said by the endpoint but counted by bytes. */
  estimated?: true;
  /** Why the endpoint did not take this request; the reply is empty. */
  refused?: string;
  reply: Omit<TeacherReply, 'id'>;
}

export type JournalRecord = AskedRecord | UnpaidRecord | AnsweredRecord;

export const usedBy = ({ reply }: AnsweredRecord) => ({
  promptTokens: reply.promptTokens,
  completionTokens: reply.completionTokens,
  cost: toPico(reply.cost),
});

export const askedRecord = (
  id: string,
  hash: string,
  to: { endpoint: string; batch?: string },
  maximum: { tokens: number; cost: number },
): AskedRecord => ({ asked: id, hash, ...to, tokens: maximum.tokens, cost: fromPico(maximum.cost) });

/** @returns undefined where the line is none of a journal's, e.g. because its end is missing. */
export function parseRecord(line: string): HeadRecord | JournalRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  return ['journal', 'asked', 'unpaid', 'answered'].some((kind) => kind in value)
    ? (value as HeadRecord | JournalRecord)
    : undefined;
}

export function damaged(path: string, why: string): HuacayaError {
  return new HuacayaError('TEACHER_JOURNAL_DAMAGED', `${path}: is not a journal that can be gone on with: ${why}`, {
    hint: 'Put the file back as it was, or use a new folder; the answers in it are plain JSON lines.',
  });
}
