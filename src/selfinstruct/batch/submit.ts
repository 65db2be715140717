// Second step: files are uploaded and batches made. At every moment the state on the disk says what may have been done.
import { usageError } from '../../base/index.ts';
import { spentError } from '../teacher/budget.ts';
import { type Journal, openJournal } from '../teacher/journal.ts';
import { toPico } from '../teacher/money.ts';
import { checkOptions, type TeacherBudget, type TeacherEndpoint } from '../teacher/options.ts';
import { type BatchClient, type BatchOptions, createBatchClient } from './client.ts';
import { type BatchState, type Part, readEntries, readState, requestsPath, writeState } from './state.ts';
import { LIMITS, linesOf, writeParts } from './writeParts.ts';

export interface BatchSubmitted {
  /** Batches that were made (or found) now. */
  submitted: { file: string; batchId: string; requests: number }[];
  /** Batches under way from before. */
  waiting: number;
}

/**
 * Submits every file that is prepared. After a kill, or a connection that was lost, files and batches that may exist are looked
 * for at the provider first, so that nothing is submitted twice.
 * @throws HuacayaError BUDGET_SPENT where the most that a file can cost does not fit, TEACHER_*, BATCH_REFUSED, BATCH_STATE.
 */
export async function batchSubmit(
  folder: string,
  endpoint: TeacherEndpoint,
  options: BatchOptions & { budget?: TeacherBudget } = {},
): Promise<BatchSubmitted> {
  checkOptions({ endpoints: [endpoint], ...(options.budget ? { budget: options.budget } : {}) });
  const client = createBatchClient(endpoint, options);
  const journal = openJournal(folder);
  try {
    const state = await readState(folder);
    const waiting = state.parts.filter(({ status }) => status === 'submitted').length;
    const submitted: BatchSubmitted['submitted'] = [];
    for (const part of state.parts) {
      if (part.status === 'submitted' || part.status === 'collected') continue;
      if (part.model !== endpoint.model || part.api !== (endpoint.api ?? 'chat')) {
        throw usageError(
          `${part.name}.jsonl was prepared for ${part.model}, not for ${endpoint.model}`,
          'Submit it to the endpoint that it was prepared for.',
        );
      }
      if (part.status === 'prepared') await leaveOutAnswered(folder, state, part, journal);
      if (part.requests === 0) continue;
      await submitPart({ folder, state, part, client, journal, budget: options.budget });
      submitted.push({ file: `${part.name}.jsonl`, batchId: part.batchId!, requests: part.requests });
    }
    return { submitted, waiting };
  } finally {
    await journal.close();
  }
}

/** Requests that were asked for one by one since they were prepared. */
async function leaveOutAnswered(folder: string, state: BatchState, part: Part, journal: Journal): Promise<void> {
  const entries = new Map((await readEntries(folder, part)).map((entry) => [entry.id, entry]));
  for (const id of entries.keys()) if (journal.ledger.accounts.get(id)?.answer) entries.delete(id);
  if (entries.size === part.requests) return;
  const answered = part.requests - entries.size;
  const { model, api, tries } = part;
  const first = state.parts.indexOf(part) + 1;
  const limits = { maxRequests: LIMITS.requests, maxBytes: LIMITS.bytes };
  const [rest] = await writeParts(folder, linesOf(folder, part, entries), { first, model, api, tries, ...limits });
  if (rest) Object.assign(part, rest);
  else {
    const result = { status: 'not submitted', answered, again: 0, refused: 0 };
    Object.assign(part, { requests: 0, status: 'collected', result });
  }
  await writeState(folder, state);
}

interface Step {
  folder: string;
  state: BatchState;
  part: Part;
  client: BatchClient;
  journal: Journal;
  budget: TeacherBudget | undefined;
}

async function submitPart({ folder, state, part, client, journal, budget }: Step): Promise<void> {
  const key = `${journal.run}-${part.name}`;
  const save = (change: Partial<Part>) => {
    Object.assign(part, change);
    return writeState(folder, state);
  };
  if (part.status === 'prepared' || part.status === 'uploading') {
    checkBudget(journal, budget, await openEntries(folder, part, journal));
    const again = part.status === 'uploading';
    await save({ status: 'uploading' });
    const fileId = await client.upload(requestsPath(folder, part), `huacaya-${key}.jsonl`, part.bytes, again);
    await save({ status: 'uploaded', fileId });
  }
  const again = part.status === 'creating';
  const entries = await openEntries(folder, part, journal);
  checkBudget(journal, budget, entries);
  const to = { endpoint: client.station.name, batch: part.name };
  await Promise.all(
    entries.map(({ id, hash, tokens, cost }) => journal.asked({ asked: id, hash, ...to, tokens, cost })),
  );
  await save({ status: 'creating' });
  const body = {
    input_file_id: part.fileId,
    endpoint: part.api === 'chat' ? '/v1/chat/completions' : '/v1/completions',
    completion_window: '24h',
  };
  const batchId = await client.create(body, key, again).catch(async (error) => {
    // Where the provider has said no, nothing is open any more; otherwise the next call looks for the batch.
    if (isRefusal(error)) {
      const all = await readEntries(folder, part);
      await Promise.all(all.map(({ id }) => journal.unpaid({ unpaid: id })));
      await save({ status: 'uploaded' });
    }
    throw error;
  });
  await save({ status: 'submitted', batchId });
}

const isRefusal = (error: { code?: string }) =>
  /^(TEACHER_(KEY|FORBIDDEN|NO_QUOTA|NO_BATCH)|BATCH_REFUSED)$/.test(error?.code ?? '');

/** Those that the journal does not have as asked for this part. */
async function openEntries(folder: string, part: Part, journal: Journal) {
  const entries = await readEntries(folder, part);
  return entries.filter(({ id }) => !journal.ledger.accounts.get(id)?.open.some(({ batch }) => batch === part.name));
}

function checkBudget(
  { ledger }: Journal,
  budget: TeacherBudget | undefined,
  entries: readonly { tokens: number; cost: number }[],
): void {
  if (!budget) return;
  const sum = { tokens: 0, cost: 0 };
  for (const { tokens, cost } of entries) {
    sum.tokens += tokens;
    sum.cost += toPico(cost);
  }
  const tokens = ledger.paid.tokens + ledger.held.tokens + sum.tokens;
  const cost = ledger.paid.cost + ledger.held.cost + sum.cost;
  if (tokens > (budget.tokens ?? Infinity) || cost > (budget.cost === undefined ? Infinity : toPico(budget.cost))) {
    throw spentError(ledger, budget, sum, 'this batch');
  }
}
