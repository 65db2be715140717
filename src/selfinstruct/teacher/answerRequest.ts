// From a request to its answer: a place at an endpoint, room in the budget, a line in the journal, and as many tries as it takes.
import { setTimeout as sleep } from 'node:timers/promises';
import type { HuacayaError } from '../../base/index.ts';
import { attempt } from './attempt.ts';
import type { Budget } from './budget.ts';
import { createClaim } from './claim.ts';
import { refusedError, tooLongError } from './errors.ts';
import type { Journal } from './journal.ts';
import { noteOutcome, waitFor } from './noteOutcome.ts';
import type { Patience, TeacherEvent } from './options.ts';
import type { Pool } from './pool.ts';
import { emptyAnswer, type ReadAnswer } from './readAnswer.ts';
import type { Station } from './station.ts';
import type { TeacherReply, TeacherRequest } from './types.ts';

export interface Desk {
  stations: readonly Station[];
  pool: Pool;
  budget: Budget;
  journal: Journal;
  patience: Patience;
  fetch?: typeof fetch | undefined;
  emit(event: TeacherEvent): void;
  /** Aborted when no new try may begin. */
  ending: AbortSignal;
  /** Aborted when tries under way must end too. */
  ended: AbortSignal;
}

/** Below this an answer is of no use to anybody. */
const LEAST_TOKENS = 16;
const MOST_ADAPTATIONS = 12;
/** Tries with an unknown end after which another endpoint may have it. */
const MOST_DOUBTS = 3;
/** Refusals in a row after which it is not the requests that are wrong. */
const MOST_REFUSALS = 5;

const anyEndpoint = () => true;
const chatEndpoint = ({ endpoint }: Station) => endpoint.api !== 'completions';

/** @param hash of the request, as it stands in the journal. */
export async function answerRequest(
  desk: Desk,
  request: TeacherRequest,
  hash: string,
  signal: AbortSignal | undefined,
): Promise<TeacherReply> {
  const { pool, journal, budget, patience, emit } = desk;
  const { run, ledger } = journal;
  const { id } = request;
  const before = signal ? AbortSignal.any([signal, desk.ending]) : desk.ending;
  const during = signal ? AbortSignal.any([signal, desk.ended]) : desk.ended;
  const fits = typeof request.prompt === 'string' ? anyEndpoint : chatEndpoint;
  const claim = createClaim(journal, budget, request, hash);
  // It may hold the answer of an earlier process: asked elsewhere, it would be paid twice.
  const earlier = ledger.accounts.get(id)?.open.at(-1);
  let stay = desk.stations.find(({ name }) => name === earlier?.endpoint);
  let avoid: Station | undefined;
  let maxTokens = request.sampling.maxTokens;
  let [effort, failures, doubts, adaptations] = [0, 0, 0, 0];

  /** @returns undefined after it had to wait for the budget, without a place at the endpoint. */
  async function tryAt(station: Station) {
    let seated = true;
    const leave = () => {
      if (seated) pool.release(station);
      seated = false;
    };
    try {
      await claim.prepare(station, leave);
      before.throwIfAborted();
      if (!seated) return undefined;
      emit({ type: 'asked', id, endpoint: station.name });
      // Whatever interrupts the try, an interruption by the user included.
      claim.doubt();
      const outcome = await attempt({ request, station, maxTokens, run, patience, fetch: desk.fetch, signal: during });
      if (outcome.kind !== 'answer' && !(outcome.kind === 'again' && outcome.maybePaid)) claim.noDoubt();
      noteOutcome(desk, station, outcome);
      return outcome;
    } finally {
      leave();
    }
  }

  /** A request that cannot be answered must not hold up a run of thousands; an endpoint that takes none must. */
  async function refuse(station: Station, error: HuacayaError): Promise<TeacherReply> {
    // Those that are under way may show that the endpoint works.
    while (!station.worked && station.active > 0) await sleep(20, undefined, { signal: before });
    if (!station.worked || ++station.refusals > MOST_REFUSALS) throw error;
    const reason = error.message;
    const reply = await store(desk, request, hash, station, emptyAnswer(station.endpoint.model, reason));
    claim.settle();
    emit({ type: 'refused', id, endpoint: station.name, reason });
    return reply;
  }

  try {
    for (;;) {
      const station = await pool.acquire({ fits, stay, avoid, signal });
      const began = Date.now();
      const outcome = await tryAt(station);
      stay = station;
      if (!outcome) continue;
      switch (outcome.kind) {
        case 'answer': {
          const reply = await store(desk, request, hash, station, outcome.answer);
          claim.settle();
          emit({ type: 'answered', id, endpoint: station.name, ms: Date.now() - began });
          return reply;
        }
        case 'refused':
          return await refuse(station, outcome.error);
        case 'dead':
          // The next `acquire` finds another one, or throws the reason.
          break;
        case 'adapt':
          if (++adaptations > MOST_ADAPTATIONS) throw refusedError(station, id, 400, `: ${outcome.what}`);
          break;
        case 'shorter':
          // As the published pipelines do.
          maxTokens = Math.floor(maxTokens * 0.8);
          if (maxTokens < LEAST_TOKENS) return await refuse(station, tooLongError(station, id, outcome.said));
          break;
        case 'again': {
          if (!outcome.maybePaid || ++doubts >= MOST_DOUBTS) stay = undefined;
          // To be told to wait is a tenth of a failure.
          effort += outcome.busy ? 1 : 10;
          if (effort >= patience.tries * 10) throw outcome.error;
          avoid = station;
          const others = desk.stations.some((other) => other !== station && !other.dead && fits(other));
          const waitMs = waitFor(outcome, failures++, others, patience);
          emit({ type: 'retry', id, endpoint: station.name, reason: outcome.error.message, waitMs });
          if (waitMs > 0) await sleep(waitMs, undefined, { signal: before }).catch(() => before.throwIfAborted());
        }
      }
    }
  } finally {
    await claim.letGo();
  }
}

async function store(
  { journal, emit }: Desk,
  { id }: TeacherRequest,
  hash: string,
  station: Station,
  { reply, estimated, refused }: ReadAnswer,
): Promise<TeacherReply> {
  if (estimated && !station.toldUsage) {
    station.toldUsage = true;
    emit({ type: 'usage-missing', endpoint: station.name });
  }
  await journal.answered({
    answered: id,
    hash,
    endpoint: station.name,
    settles: station.endpoint.idempotent === true,
    ...(estimated ? { estimated } : {}),
    ...(refused === undefined ? {} : { refused }),
    reply,
  });
  return { id, ...reply };
}
