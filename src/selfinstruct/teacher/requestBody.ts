// The body of a request, as much of it as the endpoint is known to understand.
import { createHash } from 'node:crypto';
import type { TeacherEndpoint } from './options.ts';
import type { TeacherRequest } from './types.ts';

/** What an endpoint turned out not to understand. */
export interface Learned {
  structured: boolean;
  /** `max_completion_tokens` instead of `max_tokens`. */
  newLimit: boolean;
  /** Sampling parameters that it refuses, by their names in the API. */
  without: Set<string>;
}

export function requestBody(
  { prompt, sampling, schema }: TeacherRequest,
  { api = 'chat', model, extraBody }: TeacherEndpoint,
  learned: Learned,
  maxTokens = sampling.maxTokens,
): Record<string, unknown> {
  const optional = {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    stop: sampling.stop?.length ? sampling.stop : undefined,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    logit_bias: sampling.logitBias,
  };
  const known = Object.entries(optional).filter(([name, value]) => value !== undefined && !learned.without.has(name));
  const chat = api === 'chat';
  return {
    model,
    ...(chat ? { messages: typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt } : { prompt }),
    [chat && learned.newLimit ? 'max_completion_tokens' : 'max_tokens']: maxTokens,
    ...Object.fromEntries(known),
    ...(chat && schema && learned.structured
      ? { response_format: { type: 'json_schema', json_schema: { ...schema, strict: true } } }
      : {}),
    ...extraBody,
  };
}

/** Key order does not matter: two ways to write the same request have one hash. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, canonical(v)]));
}

/** What identifies a request within a run, beside its id. Endpoint and model are left out: they may change while a run goes on. */
export function hashRequest({ prompt, sampling, schema }: TeacherRequest): string {
  return sha256(JSON.stringify(canonical({ prompt, sampling, schema }))).slice(0, 32);
}

/** The same for the same request sent again, in this process or another one. */
export const idempotencyKey = (run: string, id: string, body: string) =>
  `huacaya-${sha256(`${run}\n${id}\n${body}`).slice(0, 40)}`;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
