// First step: requests that have no answer yet are written into files for the Batch API.
import { usageError } from '../../base/index.ts';
import { changedError } from '../teacher/createTeacher.ts';
import { openJournal } from '../teacher/journal.ts';
import { fromPico, maximumOf, priceOf } from '../teacher/money.ts';
import { checkOptions, type TeacherEndpoint } from '../teacher/options.ts';
import { hashRequest, requestBody } from '../teacher/requestBody.ts';
import type { TeacherRequest } from '../teacher/types.ts';
import { readEntries, readState, writeState } from './state.ts';
import { LIMITS, type Line, writeParts } from './writeParts.ts';

export interface BatchPrepareOptions {
  endpoint: TeacherEndpoint;
  /** Limits of one file; default and most: OpenAI's 50,000 requests and 200 MB. */
  maxRequests?: number;
  maxBytes?: number;
}

export interface BatchPrepared {
  /** Names of the new files, below `batch/` in the folder. */
  files: string[];
  requests: number;
  /** Left out, because the journal has the answer, or because they are in a batch that is not collected. */
  answered: number;
  waiting: number;
  /** The most that the new requests can take, at half price. */
  tokens: number;
  cost: number;
}

/** A batch costs half. */
export const BATCH_FACTOR = 0.5;

/**
 * Called again with more (or the same) requests it adds those that are new.
 * @throws HuacayaError USAGE, TEACHER_CHANGED, TEACHER_RUN_IN_USE.
 */
export async function batchPrepare(
  requests: AsyncIterable<TeacherRequest> | Iterable<TeacherRequest>,
  folder: string,
  options: BatchPrepareOptions,
): Promise<BatchPrepared> {
  const { endpoint } = options;
  checkOptions({ endpoints: [endpoint] });
  const { model, api = 'chat' } = endpoint;
  const price = priceOf(endpoint.price, BATCH_FACTOR);
  // All chat models of OpenAI take the new name, the newer ones nothing else; there is no second try in a batch.
  const newLimit = new URL(endpoint.url).hostname === 'api.openai.com';
  const learned = { structured: endpoint.structured !== false, newLimit, without: new Set<string>() };
  const path = api === 'chat' ? '/v1/chat/completions' : '/v1/completions';
  const journal = openJournal(folder);
  try {
    const state = await readState(folder);
    const known = new Map<string, string>();
    for (const part of state.parts) {
      if (part.status !== 'collected') for (const { id, hash } of await readEntries(folder, part)) known.set(id, hash);
    }
    const result: BatchPrepared = { files: [], requests: 0, answered: 0, waiting: 0, tokens: 0, cost: 0 };
    const lines = async function* (): AsyncGenerator<Line, void, void> {
      for await (const request of requests) {
        const { id, prompt, sampling } = request;
        const hash = hashRequest(request);
        const account = journal.ledger.accounts.get(id);
        if ((account?.hash ?? known.get(id) ?? hash) !== hash) throw changedError(id);
        if (account?.answer) result.answered++;
        else if (known.has(id)) result.waiting++;
        else {
          if (api === 'completions' && typeof prompt !== 'string') {
            throw usageError(`request ${id} is a conversation: the endpoint needs api: chat`);
          }
          known.set(id, hash);
          const { tokens, cost } = maximumOf(request, price);
          result.requests++;
          result.tokens += tokens;
          result.cost += cost;
          const { maxTokens, stop } = sampling;
          const body = requestBody(request, endpoint, learned);
          yield {
            entry: { id, hash, tokens, cost: fromPico(cost), maxTokens, ...(stop?.length ? { stop } : {}) },
            text: JSON.stringify({ custom_id: id, method: 'POST', url: path, body }),
          };
        }
      }
    };
    const parts = await writeParts(folder, lines(), {
      first: state.parts.length + 1,
      model,
      api,
      tries: 0,
      maxRequests: Math.min(options.maxRequests ?? LIMITS.requests, LIMITS.requests),
      maxBytes: Math.min(options.maxBytes ?? LIMITS.bytes, LIMITS.bytes),
    });
    if (parts.length > 0) await writeState(folder, { ...state, parts: [...state.parts, ...parts] });
    return { ...result, cost: fromPico(result.cost), files: parts.map(({ name }) => `${name}.jsonl`) };
  } finally {
    await journal.close();
  }
}
