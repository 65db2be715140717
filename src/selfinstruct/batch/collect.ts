// Third step: what batches have answered goes into the journal, and what they have not is prepared again.
import { rm } from 'node:fs/promises';
import { type Journal, openJournal } from '../teacher/journal.ts';
import { errorOf } from '../teacher/judge.ts';
import { type Price, priceOf } from '../teacher/money.ts';
import { checkOptions, type TeacherEndpoint } from '../teacher/options.ts';
import { emptyAnswer, type ReadAnswer, readAnswer } from '../teacher/readAnswer.ts';
import { type BatchClient, type BatchOptions, createBatchClient, type RemoteBatch } from './client.ts';
import { readLines } from './lines.ts';
import { BATCH_FACTOR } from './prepare.ts';
import { type Part, type PartEntry, readEntries, readState, resultsPath, writeState } from './state.ts';
import { LIMITS, linesOf, writeParts } from './writeParts.ts';

export interface BatchCollected {
  batches: {
    file: string;
    batchId: string;
    /** As the provider calls it: in_progress, completed, expired, failed, ... */
    status: string;
    done: boolean;
    total: number;
    completed: number;
    failed: number;
    /** Why the whole batch failed. */
    reason?: string;
  }[];
  /** New in the journal. */
  answered: number;
  /** Batches that are not done. */
  waiting: number;
  /** Prepared again, in new files: submit them. */
  again: number;
  /** Given up: refused (which counts as answered with an empty text, if others were answered), or failed in too many batches. */
  refused: { id: string; reason: string }[];
}

/** A request that failed in so many batches is given up. */
const MOST_TRIES = 4;
const DONE = ['completed', 'failed', 'expired', 'cancelled'];

/**
 * Looks at every batch that was submitted. Called as often as one likes; a kill in between loses nothing.
 * @throws HuacayaError TEACHER_*, BATCH_STATE, TEACHER_RUN_IN_USE, NO_SPACE.
 */
export async function batchCollect(
  folder: string,
  endpoint: TeacherEndpoint,
  options: BatchOptions = {},
): Promise<BatchCollected> {
  checkOptions({ endpoints: [endpoint] });
  const client = createBatchClient(endpoint, options);
  const price = priceOf(endpoint.price, BATCH_FACTOR);
  const journal = openJournal(folder);
  try {
    const result: BatchCollected = { batches: [], answered: 0, waiting: 0, again: 0, refused: [] };
    const state = await readState(folder);
    for (const part of state.parts.filter(({ status }) => status === 'submitted')) {
      const batch = await client.batch(part.batchId!);
      const done = DONE.includes(batch.status);
      result.batches.push(describe(part, batch, done));
      if (!done) {
        result.waiting++;
        continue;
      }
      const outcome = await takeResults(folder, part, batch, client, journal, price);
      const again = await prepareAgain(folder, part, outcome.again, state.parts.length + 1, batch.status === 'failed');
      result.answered += outcome.answered;
      result.again += outcome.again.size;
      result.refused.push(...outcome.refused);
      part.status = 'collected';
      part.result = {
        status: batch.status,
        answered: outcome.answered,
        again: outcome.again.size,
        refused: outcome.refused.length,
      };
      // One write: the old part is done, and its rest is a new part.
      state.parts.push(...again);
      await writeState(folder, state);
      for (const kind of ['output', 'error'] as const) await rm(resultsPath(folder, part, kind), { force: true });
    }
    return result;
  } finally {
    await journal.close();
  }
}

function describe(part: Part, batch: RemoteBatch, done: boolean): BatchCollected['batches'][number] {
  const reason = batch.errors?.data?.[0]?.message;
  return {
    file: `${part.name}.jsonl`,
    batchId: part.batchId!,
    status: batch.status,
    done,
    total: batch.request_counts?.total ?? part.requests,
    completed: batch.request_counts?.completed ?? 0,
    failed: batch.request_counts?.failed ?? 0,
    ...(reason ? { reason } : {}),
  };
}

interface Row {
  custom_id?: string;
  response?: { status_code?: number; body?: unknown } | null;
  error?: { code?: string; message?: string } | null;
}

async function takeResults(
  folder: string,
  part: Part,
  batch: RemoteBatch,
  client: BatchClient,
  journal: Journal,
  price: Price,
) {
  const entries = new Map((await readEntries(folder, part)).map((entry) => [entry.id, entry]));
  const { accounts } = journal.ledger;
  const refused = new Map<string, string>();
  let answered = 0;
  for (const kind of ['output', 'error'] as const) {
    const fileId = kind === 'output' ? batch.output_file_id : batch.error_file_id;
    if (!fileId) continue;
    const path = resultsPath(folder, part, kind);
    await client.download(fileId, path);
    let writes: Promise<void>[] = [];
    for await (const line of readLines(path)) {
      const row = JSON.parse(line) as Row;
      const entry = entries.get(row.custom_id ?? '');
      // A row that we have not asked for, or that an earlier call has taken.
      if (!entry || accounts.get(entry.id)?.answer) continue;
      const answer = answerOf(row, entry, part.model, price);
      if (typeof answer === 'string') refused.set(entry.id, answer);
      if (typeof answer !== 'object') continue;
      entries.delete(entry.id);
      answered++;
      writes.push(journal.answered(recordOf(entry, client.station.name, answer)));
      if (writes.length >= 500) await Promise.all(writes);
      if (writes.length >= 500) writes = [];
    }
    await Promise.all(writes);
  }
  // Where others were answered, it is the request that is wrong: a run must not wait for it.
  if (answered > 0) {
    for (const [id, reason] of refused) {
      const entry = entries.get(id);
      if (entry) await journal.answered(recordOf(entry, client.station.name, emptyAnswer(part.model, reason)));
    }
  }
  const open = [...entries.values()].filter(({ id }) => !accounts.get(id)?.answer);
  await Promise.all(open.map(({ id }) => release(journal, part, id)));
  const lastTry = part.tries + 1 >= MOST_TRIES && batch.status !== 'failed';
  const givenUp = open.filter(({ id }) => refused.has(id) || lastTry);
  const again = new Map(open.filter((entry) => !givenUp.includes(entry)).map((entry) => [entry.id, entry]));
  const failed = givenUp.flatMap(({ id }) =>
    refused.has(id) ? [] : { id, reason: `failed in ${MOST_TRIES} batches` },
  );
  return { answered, again, refused: [...[...refused].map(([id, reason]) => ({ id, reason })), ...failed] };
}

/** The answer; a text: why there will never be one; undefined: another batch may have it. */
function answerOf(
  { response, error }: Row,
  { maxTokens, stop, tokens }: PartEntry,
  model: string,
  price: Price,
): ReadAnswer | string | undefined {
  const status = response?.status_code ?? 0;
  if (status === 200) {
    const sampling = { maxTokens, ...(stop ? { stop } : {}) };
    return readAnswer(response?.body, { sampling, promptBound: tokens - maxTokens }, model, price);
  }
  const said = errorOf(response?.body) ?? (error ? errorOf({ error }) : undefined);
  if (/content_?(filter|policy)/i.test(said?.code ?? '')) return emptyAnswer(model);
  // Expired, cancelled, or a failure of the server.
  if (!response || status >= 500 || status === 429 || status === 408 || status === 0) return undefined;
  return `${status}: ${said?.message ?? 'refused'}`.slice(0, 300);
}

const recordOf = ({ id, hash }: PartEntry, endpoint: string, { reply, estimated, refused }: ReadAnswer) => ({
  answered: id,
  hash,
  endpoint,
  settles: false,
  ...(estimated ? { estimated: true as const } : {}),
  ...(refused === undefined ? {} : { refused }),
  reply,
});

/** What was set aside for it when it was submitted, once. */
async function release(journal: Journal, part: Part, id: string): Promise<void> {
  if (journal.ledger.accounts.get(id)?.open.at(-1)?.batch === part.name) await journal.unpaid({ unpaid: id });
}

/** @param again entries of this part. @param blameless the batch failed as a whole, so its requests lose no try. */
async function prepareAgain(
  folder: string,
  part: Part,
  again: ReadonlyMap<string, PartEntry>,
  first: number,
  blameless: boolean,
): Promise<Part[]> {
  const { model, api } = part;
  const tries = part.tries + (blameless ? 0 : 1);
  return writeParts(folder, linesOf(folder, part, again), {
    first,
    model,
    api,
    tries,
    maxRequests: LIMITS.requests,
    maxBytes: LIMITS.bytes,
  });
}
