// From a valid body to the answers that it asks for. Whatever contradicts or cannot be is refused here, before anything
// waits or runs.
import { randomInt } from 'node:crypto';
import type { AskOptions, BuiltPrompt } from '../assistant/index.ts';
import { checkSampling, describeSampling, type SamplingOptions, type TokenConstraint } from '../infer/index.ts';
import { badRequest } from './apiError.ts';
import type { ServerContext } from './context.ts';
import type { CommonBody } from './schemas/common.ts';

export interface PlannedAnswer {
  prompt: BuiltPrompt;
  options: AskOptions;
}

export interface Plan {
  model: string;
  /** How its prompts are made: 'chat' or the name of a prompt template. */
  template: string;
  /** n for each prompt, in order. */
  answers: PlannedAnswer[];
  n: number;
  /** How tokens are chosen, in words. */
  mode: string;
  /** Where it matters. */
  seed: number | undefined;
  stream: boolean;
  includeUsage: boolean;
}

export interface PlanDetails {
  prompts: readonly BuiltPrompt[];
  topLogprobs?: number | undefined;
  /** What the client asked for, under its name. */
  maxTokens?: { name: string; value: number } | undefined;
  /** Without that; default: as much as there is room for. */
  usualTokens?: number;
  /** JSON schema that the answer must keep to. */
  schema?: unknown;
}

/** @throws ApiError 400, 404. */
export function planAnswers(context: ServerContext, body: CommonBody, details: PlanDetails): Plan {
  const { assistant } = context;
  const entry = assistant.entry(body.model ?? assistant.id);
  const n = body.n ?? 1;
  const stream = body.stream ?? false;
  if (body.stream_options && !stream) throw badRequest('stream_options needs stream: true', 'stream_options');
  if (body.adapter_scale !== undefined && body.adapter_scale !== null && entry.kind === 'base') {
    throw badRequest(`adapter_scale needs an adapter; ${entry.id} is the base model`, 'adapter_scale');
  }
  const sampling = samplingOf(body, assistant.generator.info.vocabSize);
  if (n > 1 && sampling.temperature === 0) {
    throw badRequest(`n is ${n} at temperature 0, which gives the same answer each time; set a temperature`, 'n');
  }
  const makeConstraint = constraintOf(context, details.schema);
  const base: AskOptions = {
    model: entry.id,
    ...(body.stop ? { stop: typeof body.stop === 'string' ? [body.stop] : body.stop } : {}),
    ...(body.stop_token_ids ? { stopIds: body.stop_token_ids } : {}),
    ...(body.ignore_eos ? { ignoreEos: true } : {}),
    ...(body.adapter_scale !== undefined && body.adapter_scale !== null ? { adapterScale: body.adapter_scale } : {}),
    ...(details.topLogprobs !== undefined ? { topLogprobs: details.topLogprobs } : {}),
  };
  const answers = details.prompts.flatMap((prompt) => {
    const maxNewTokens = room(context, prompt.ids.length, details);
    return Array.from({ length: n }, (_, i): PlannedAnswer => {
      const constraint = makeConstraint?.();
      const seed = sampling.seed + i;
      return {
        prompt,
        options: { ...base, maxNewTokens, sampling: { ...sampling, seed }, ...(constraint ? { constraint } : {}) },
      };
    });
  });
  return {
    model: entry.id,
    template: entry.template,
    answers,
    n,
    mode: describeSampling(sampling),
    seed: sampling.temperature > 0 ? sampling.seed : undefined,
    stream,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}

function samplingOf(body: CommonBody, vocabSize: number): SamplingOptions {
  const logitBias = new Map(Object.entries(body.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias]));
  return checkSampling(
    {
      temperature: body.temperature ?? 0,
      topP: body.top_p ?? 1,
      topK: Math.max(0, body.top_k ?? 0),
      minP: body.min_p ?? 0,
      repetitionPenalty: body.repetition_penalty ?? 1,
      presencePenalty: body.presence_penalty ?? 0,
      frequencyPenalty: body.frequency_penalty ?? 0,
      logitBias,
      seed: body.seed ?? randomInt(2 ** 31),
    },
    vocabSize,
  );
}

/** The longest answer to a prompt. */
function room({ assistant, settings }: ServerContext, promptTokens: number, details: PlanDetails): number {
  const { positions } = assistant.generator.info;
  const { maxTokens, usualTokens } = details;
  if (promptTokens === 0) throw badRequest('the prompt is empty');
  const left = positions - promptTokens;
  const limit = settings.maxNewTokens;
  if (maxTokens && limit !== undefined && maxTokens.value > limit) {
    throw badRequest(`${maxTokens.name} is ${maxTokens.value}; ${limit} is the most on this server`, maxTokens.name);
  }
  if (left < (maxTokens?.value ?? 1)) {
    const wanted = maxTokens ? ` and ${maxTokens.name} is ${maxTokens.value}` : '';
    const message = `the prompt has ${promptTokens} tokens${wanted}; the model has room for ${positions} together`;
    throw badRequest(message, maxTokens?.name, 'context_length_exceeded');
  }
  return maxTokens?.value ?? Math.min(left, limit ?? left, usualTokens ?? left);
}

/** One constraint an answer: each follows its own tokens. */
function constraintOf({ assistant, settings }: ServerContext, schema: unknown): (() => TokenConstraint) | undefined {
  return schema === undefined ? undefined : () => settings.jsonConstraint(assistant, schema);
}

/** What response_format asks for; undefined: free text. */
export function schemaOf(body: CommonBody): unknown {
  const format = body.response_format;
  if (!format || format.type === 'text') return undefined;
  return format.type === 'json_object' ? { type: 'object' } : format.json_schema.schema;
}

/**
 * Texts that no model of this size can hold are not tokenised, because that would hold up everybody.
 * @throws ApiError 400.
 */
export function checkTextLength({ assistant }: ServerContext, characters: number): void {
  const { positions } = assistant.generator.info;
  // Common text has 3 to 5 characters a token, indented code some more.
  if (characters <= positions * 32) return;
  const message = `the prompt has ${characters} characters, too many for a model with room for ${positions} tokens`;
  throw badRequest(message, undefined, 'context_length_exceeded');
}
