// A body against its schema, and what is wrong with it in one sentence that names the field.
import type { z } from 'zod';
import { nearNames } from '../base/index.ts';
import { type ApiError, badRequest } from './apiError.ts';

/** Fields of OpenAI's that would change the answer, and are not here. null, as some clients send it, is no wish. */
const notHere: Readonly<Record<string, string>> = {
  functions: 'use tools',
  function_call: 'use tool_choice',
  audio: 'there is no audio',
  prediction: 'there are no predicted outputs',
  reasoning_effort: 'there is no reasoning effort to set',
  verbosity: 'there is no verbosity to set',
  web_search_options: 'there is no web search',
  moderation: 'there is no moderation',
  use_beam_search: 'answers are greedy or sampled',
};

/** @throws ApiError 400 with the first problem. */
export function validate<S extends z.ZodObject>(schema: S, body: Record<string, unknown>): z.infer<S> {
  const given = { ...body };
  for (const [name, instead] of Object.entries(notHere)) {
    if (!Object.hasOwn(given, name) || Object.hasOwn(schema.shape, name)) continue;
    if (given[name] !== null) throw badRequest(`${name} is not supported: ${instead}`, name, 'unsupported_parameter');
    delete given[name];
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw explain(result.error.issues[0]!, [], Object.keys(schema.shape), given);
}

type Issue = z.core.$ZodIssue;

function explain(issue: Issue, above: readonly PropertyKey[], names: readonly string[], body: unknown): ApiError {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const [near] = path.length === 0 ? nearNames(key, names) : [];
    const hint = near ? `; did you mean ${JSON.stringify(near)}?` : '';
    return badRequest(`unknown field ${quote(key)}${hint}`, spell([...path, key]), 'unknown_parameter');
  }
  if (issue.code === 'invalid_union') {
    const deepest = furthest(issue.errors.flat());
    // An alternative that went further than the choice itself is what was meant.
    if (deepest && deepest.path.length > 0) return explain(deepest, path, names, body);
  }
  if (issue.code === 'invalid_key' && issue.issues[0]) {
    const where = spell(path);
    return badRequest(`${where}: ${issue.issues[0].message}`, where);
  }
  const missing = valueAt(body, path) === undefined;
  const where = spell(path);
  if (missing) return badRequest(`${where} is missing`, where, 'missing_required_parameter');
  return badRequest(`${where}: ${issue.message}`, where);
}

const furthest = (issues: readonly Issue[]): Issue | undefined =>
  issues.reduce<Issue | undefined>((best, i) => (best && best.path.length >= i.path.length ? best : i), undefined);

const quote = (text: string) => JSON.stringify(text.slice(0, 100));

/** messages[0].content */
const spell = (path: readonly PropertyKey[]) =>
  path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key).slice(0, 100)}`))
    .join('');

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
