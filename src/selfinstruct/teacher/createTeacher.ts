// The teacher: several endpoints behind one `ask`, with a budget, and a journal that remembers everything that was paid.
import { setMaxListeners } from 'node:events';
import { HuacayaError, usageError } from '../../base/index.ts';
import { answerRequest, type Desk } from './answerRequest.ts';
import { createBudget } from './budget.ts';
import { openJournal } from './journal.ts';
import { checkOptions, type TeacherOptions, withDefaults } from './options.ts';
import { patientFetch } from './patientFetch.ts';
import { createPool } from './pool.ts';
import { hashRequest } from './requestBody.ts';
import { createStations } from './station.ts';
import type { Teacher, TeacherReply, TeacherRequest } from './types.ts';

/**
 * Opens (or starts) the run in a folder. What was answered in it is answered from its journal; a request that was sent and has
 * no answer there, because the process was killed, is sent again with the same `Idempotency-Key`.
 *
 * A request under way is answered, or fails with the code of what is wrong: TEACHER_KEY, TEACHER_FORBIDDEN, TEACHER_NO_QUOTA,
 * TEACHER_MODEL_NOT_FOUND, TEACHER_WRONG_URL, TEACHER_UNREACHABLE (the endpoint: the next one takes over, if there is one),
 * TEACHER_BUSY, TEACHER_FAILING, TEACHER_LOST, TEACHER_BAD_ANSWER (after many tries), TEACHER_REFUSED, TEACHER_PROMPT_TOO_LONG,
 * TEACHER_NEEDS_CHAT (the request), TEACHER_CHANGED (another request had this id), TEACHER_IN_BATCH, BUDGET_SPENT, NO_SPACE.
 * What a provider's filter holds back is a reply with finishReason `content_filter`; so is, with an empty text, a request that an
 * endpoint does not take while it takes others (TEACHER_REFUSED and TEACHER_PROMPT_TOO_LONG are for the first, or many in a row).
 * @throws HuacayaError USAGE, TEACHER_RUN_IN_USE, TEACHER_JOURNAL_DAMAGED.
 */
export function createTeacher(options: TeacherOptions): Teacher {
  checkOptions(options);
  const patience = withDefaults(options.patience);
  const stations = createStations(options.endpoints);
  const fetch = options.fetch ?? patientFetch(options.proxy);
  const journal = openJournal(options.folder);
  const pool = createPool(stations, patience.breakAfter);
  const [ending, ended] = [new AbortController(), new AbortController()];
  // Every request under way listens.
  setMaxListeners(0, ending.signal, ended.signal);
  const desk: Desk = {
    stations,
    pool,
    budget: createBudget(options.budget, journal.ledger),
    journal,
    patience,
    fetch,
    emit: (event) => options.onEvent?.(event),
    ending: ending.signal,
    ended: ended.signal,
  };
  const underWay = new Map<string, { hash: string; reply: Promise<TeacherReply> }>();
  let closing: Promise<void> | undefined;

  function ask(request: TeacherRequest, signal?: AbortSignal): Promise<TeacherReply> {
    const hash = hashRequest(request);
    const same = underWay.get(request.id);
    if (same) return same.hash === hash ? same.reply : Promise.reject(changedError(request.id));
    const reply = find(desk, request, hash, signal).finally(() => underWay.delete(request.id));
    underWay.set(request.id, { hash, reply });
    return reply;
  }
  async function close(): Promise<void> {
    ending.abort(closedError());
    pool.end(closedError());
    // What is under way is paid for: it gets some time to arrive.
    const timer = setTimeout(() => ended.abort(closedError()), patience.closeMs);
    await Promise.allSettled([...underWay.values()].map(({ reply }) => reply));
    clearTimeout(timer);
    await journal.close();
  }
  return {
    ask: (request, signal) => (closing ? Promise.reject(closedError()) : ask(request, signal)),
    spent: () => journal.ledger.spent(),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function find(desk: Desk, request: TeacherRequest, hash: string, signal?: AbortSignal): Promise<TeacherReply> {
  const { id } = request;
  checkRequest(desk, request);
  const known = desk.journal.ledger.accounts.get(id);
  if (known && known.hash !== hash) throw changedError(id);
  if (known?.answer) return desk.journal.read(id);
  const batch = known?.open.find((open) => open.batch !== undefined)?.batch;
  if (batch !== undefined) throw inBatchError(id, batch);
  signal?.throwIfAborted();
  return answerRequest(desk, request, hash, signal);
}

function checkRequest({ stations }: Pick<Desk, 'stations'>, { id, prompt, sampling }: TeacherRequest): void {
  if (id === '') throw usageError('a request to the teacher needs an id');
  if (!(Number.isInteger(sampling.maxTokens) && sampling.maxTokens > 0)) {
    throw usageError(`request ${id}: maxTokens must be a whole number above 0`);
  }
  if (typeof prompt !== 'string' && stations.every(({ endpoint }) => endpoint.api === 'completions')) {
    throw new HuacayaError(
      'TEACHER_NEEDS_CHAT',
      `request ${id} is a conversation, and no endpoint has a chat service`,
      {
        hint: 'Add an endpoint with api: chat.',
      },
    );
  }
}

export function changedError(id: string): HuacayaError {
  return new HuacayaError(
    'TEACHER_CHANGED',
    `request ${id} is not the one that this run asked before: the recipe changed`,
    {
      hint: 'Use a new folder, or go back to the recipe, the prompts and the seeds of this run.',
    },
  );
}

function inBatchError(id: string, batch: string): HuacayaError {
  return new HuacayaError('TEACHER_IN_BATCH', `request ${id} is in the batch ${batch}, which has not been collected`, {
    hint: 'Collect the batch first: asked now, it would be paid twice.',
  });
}

const closedError = () => new HuacayaError('TEACHER_CLOSED', 'the teacher is closed');
