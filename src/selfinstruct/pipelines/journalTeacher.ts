// A teacher that asks nobody: it knows what the journal knows, and notes what a run would have to ask.
import { HuacayaError } from '../../base/index.ts';
import { changedError } from '../teacher/createTeacher.ts';
import { openJournal } from '../teacher/journal.ts';
import { hashRequest } from '../teacher/requestBody.ts';
import type { Teacher, TeacherRequest } from '../teacher/types.ts';

export interface JournalTeacher extends Teacher {
  /** Asked for, and not in the journal; in the order of asking. */
  readonly missing: TeacherRequest[];
}

export const isNotAnswered = (error: unknown): boolean =>
  error instanceof HuacayaError && error.code === 'TEACHER_NOT_ANSWERED';

/** @throws HuacayaError TEACHER_RUN_IN_USE, TEACHER_JOURNAL_DAMAGED. */
export function journalTeacher(folder: string): JournalTeacher {
  const journal = openJournal(folder);
  const missing: TeacherRequest[] = [];
  return {
    missing,
    async ask(request) {
      const account = journal.ledger.accounts.get(request.id);
      if (account && account.hash !== hashRequest(request)) throw changedError(request.id);
      if (account?.answer) return journal.read(request.id);
      missing.push(request);
      throw new HuacayaError('TEACHER_NOT_ANSWERED', `request ${request.id} has no answer yet`);
    },
    spent: () => journal.ledger.spent(),
    close: () => journal.close(),
  };
}
