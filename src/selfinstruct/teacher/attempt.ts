// One try of one request at one endpoint.
import type { HuacayaError } from '../../base/index.ts';
import { modelError, networkError, wrongUrlError } from './errors.ts';
import { exchange, type HttpAnswer, NetworkFailure } from './exchange.ts';
import { judge, type Outcome } from './judge.ts';
import type { Patience } from './options.ts';
import { idempotencyKey, requestBody } from './requestBody.ts';
import { headersFor, type Station } from './station.ts';
import type { TeacherRequest } from './types.ts';

export interface Try {
  request: TeacherRequest;
  station: Station;
  maxTokens: number;
  /** Name of the run, for the idempotency key. */
  run: string;
  patience: Patience;
  fetch?: typeof fetch | undefined;
  signal: AbortSignal;
}

/** @throws the reason of `signal` only. */
export async function attempt(one: Try): Promise<Exclude<Outcome, { kind: 'not-found' }>> {
  const { request, station, patience } = one;
  const body = requestBody(request, station.endpoint, station.learned, one.maxTokens);
  const text = JSON.stringify(body);
  let answer: HttpAnswer;
  try {
    answer = await exchange({
      method: 'POST',
      url: `${station.base}/${station.endpoint.api === 'completions' ? 'completions' : 'chat/completions'}`,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'idempotency-key': idempotencyKey(one.run, request.id, text),
        // OpenAI logs it; it may hold printable ASCII only.
        'x-client-request-id': encodeURI(request.id).slice(0, 512),
        ...headersFor(station),
      },
      body: text,
      timeoutMs: station.endpoint.timeoutMs ?? 600_000,
      stallMs: patience.stallMs,
      fetch: one.fetch,
      signal: one.signal,
    });
  } catch (error) {
    if (!(error instanceof NetworkFailure)) throw error;
    return afterFailure(error, station);
  }
  const outcome = judge(answer, request, body, station);
  if (outcome.kind !== 'not-found') return outcome;
  return { kind: 'dead', error: await lookAround(one, outcome.said, outcome.model) };
}

/** From an endpoint that has never answered, a wrong name or port is no bad luck. */
function afterFailure(failure: NetworkFailure, station: Station): Outcome & { kind: 'dead' | 'again' } {
  const error = networkError(station, failure);
  const final = /^(ENOTFOUND|ECONNREFUSED|ERR_TLS_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|bad port)/.test(
    failure.reason,
  );
  if (final && !station.worked) return { kind: 'dead', error };
  return { kind: 'again', error, said: '', busy: false, maybePaid: failure.sent };
}

/** After a 404: which models there are, or where the service could be instead. */
async function lookAround(one: Try, said: string, aboutModel: boolean): Promise<HuacayaError> {
  const { station } = one;
  const models = await listModels(one, station.base);
  if (aboutModel || (models && !models.includes(station.endpoint.model))) return modelError(station, models);
  const better = `${station.base}/v1`;
  const found = !models && (await listModels(one, better)) !== undefined;
  return wrongUrlError(station, said, found ? better : undefined);
}

/** GET /models. @returns undefined where it gives no list. */
export async function listModels(
  one: Pick<Try, 'station' | 'signal' | 'fetch'>,
  base: string,
): Promise<string[] | undefined> {
  try {
    const { status, text } = await exchange({
      method: 'GET',
      url: `${base}/models`,
      headers: headersFor(one.station),
      timeoutMs: 10_000,
      stallMs: 10_000,
      fetch: one.fetch,
      signal: one.signal,
    });
    const { data } = JSON.parse(text) as { data?: unknown };
    if (status !== 200 || !Array.isArray(data)) return undefined;
    return data.flatMap((model) => (typeof model?.id === 'string' ? [model.id] : []));
  } catch (error) {
    if (one.signal.aborted) throw one.signal.reason;
    if (error instanceof NetworkFailure || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
