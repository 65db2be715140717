// A planned request to its answer, whole or as a stream: places, time limit, cancellation, errors. The form says how it looks.
import { setMaxListeners } from 'node:events';
import type { Generated, Piece } from '../infer/index.ts';
import { ApiError, toApiError } from './apiError.ts';
import type { ServerContext } from './context.ts';
import { ClientGone, type Exchange } from './exchange.ts';
import type { Plan } from './plan.ts';
import { runAnswers } from './runAnswers.ts';
import { createSse } from './sse.ts';
import { reportOf, usageOf } from './usage.ts';

/** How answers are written down. Chunks and bodies lack only what `envelope` adds. */
export interface ReplyForm {
  /** Fields that every chunk and body has. */
  envelope: Readonly<Record<string, unknown>>;
  object: { whole: string; chunk: string };
  /** `choices` of the chunks that a piece, or the end of an answer, gives. */
  piece(index: number, piece: Piece): object[];
  end(index: number, generated: Generated): object[];
  /** `choices` of the whole. */
  whole(generated: readonly Generated[]): object[];
}

/** @throws ApiError 429, 503, 504 and what generation ends with; ClientGone. */
export async function respond(exchange: Exchange, context: ServerContext, plan: Plan, form: ReplyForm): Promise<void> {
  const { assistant, settings, meters, running } = context;
  const leave = context.admission.enter(plan.answers.length);
  const cut = new AbortController();
  // Each answer listens.
  setMaxListeners(0, cut.signal);
  const end = (reason: Error) => cut.abort(reason);
  running.add(end);
  exchange.onGone(() => end(new ClientGone('the client is gone')));
  const limit = setTimeout(() => end(timedOut(settings.requestTimeout)), settings.requestTimeout * 1000);
  const begin = performance.now();
  let waitsForFirst = true;
  const first = () => {
    if (waitsForFirst) meters.firstToken.observe((performance.now() - begin) / 1000);
    waitsForFirst = false;
  };
  try {
    if (plan.stream) await stream(exchange, context, plan, form, cut, first);
    else {
      const generated = await runAnswers(assistant, plan.answers, cut, { piece: first });
      const usage = usageOf(generated, plan.n);
      count(exchange, usage);
      exchange.sendJson(200, {
        ...form.envelope,
        object: form.object.whole,
        choices: form.whole(generated),
        usage,
        huacaya: reportOf(plan, generated),
      });
    }
  } catch (e) {
    const reason = e instanceof ClientGone ? 'client_gone' : e instanceof ApiError ? cutCodes[e.code] : undefined;
    if (reason) meters.cut.add(1, { reason });
    throw e;
  } finally {
    clearTimeout(limit);
    running.delete(end);
    leave();
  }
}

const cutCodes: Readonly<Record<string, string>> = { request_timeout: 'timeout', shutting_down: 'shutdown' };

async function stream(
  exchange: Exchange,
  context: ServerContext,
  plan: Plan,
  form: ReplyForm,
  cut: AbortController,
  first: () => void,
): Promise<void> {
  const { assistant, settings, meters } = context;
  const sse = createSse(exchange.response, {
    stall: settings.writeTimeout * 1000,
    onDrop: () => meters.cut.add(1, { reason: 'slow_client' }),
  });
  // With include_usage OpenAI's chunks all have the field.
  const noUsage = plan.includeUsage ? { usage: null } : {};
  const chunk = { ...form.envelope, object: form.object.chunk };
  const send = async (choices: readonly object[], more: object = {}) => {
    for (const choice of choices) await sse.send({ ...chunk, choices: [choice], ...noUsage, ...more });
  };
  const ended: Generated[] = [];
  let missing = plan.answers.length;
  try {
    await runAnswers(assistant, plan.answers, cut, {
      piece(index, piece) {
        first();
        return send(form.piece(index, piece));
      },
      async end(index, generated) {
        first();
        ended[index] = generated;
        const choices = form.end(index, generated);
        const last = --missing === 0 && !plan.includeUsage;
        await send(choices.slice(0, -1));
        await send(choices.slice(-1), last ? { huacaya: reportOf(plan, ended) } : {});
      },
    });
    const usage = usageOf(ended, plan.n);
    count(exchange, usage);
    if (plan.includeUsage) await sse.send({ ...chunk, choices: [], usage, huacaya: reportOf(plan, ended) });
    sse.finish();
  } catch (e) {
    // Once it has begun, an answer fails with a last event instead of a status.
    if (sse.open && !(e instanceof ClientGone)) {
      const error = toApiError(e);
      if (error.status === 500) settings.onError(e);
      sse.fail(error);
      if (cutCodes[error.code]) meters.cut.add(1, { reason: cutCodes[error.code]! });
      return;
    }
    throw e;
  } finally {
    sse.release();
  }
}

function count(exchange: Exchange, usage: ReturnType<typeof usageOf>): void {
  exchange.tokens = { prompt: usage.prompt_tokens, completion: usage.completion_tokens };
}

/** Clients would ask again at once, and again wait for nothing. */
const timedOut = (seconds: number) =>
  new ApiError(504, 'request_timeout', `the answer took longer than ${seconds} s, the limit of this server`, {
    headers: { 'x-should-retry': 'false' },
  });
