// What a run may cost, before it starts: rough, from the first prompt and what answers are like.

import { fillTemplate } from '../prompts/fillTemplate.ts';
import type { TeacherRequest } from '../teacher/types.ts';
import { alpacaRequests } from './alpaca.ts';
import { instructionRequests } from './instructions.ts';
import { noDedupe } from './noDedupe.ts';
import type { PipelineOptions, RequestOptions } from './pipeline.ts';
import { createState } from './runState.ts';

export interface Estimate {
  first: TeacherRequest;
  requests: number;
  promptTokens: number;
  completionTokens: number;
  /** By the prices of the endpoints, shared by weight; undefined where one has none. */
  cost?: number;
}

/** Share of candidates that passes filters and dedupe; falls as the pool grows. */
const passing = 0.7;
/** Tokens of a task with its answer, and of an instruction alone. */
const taskTokens = 130;
const instructionTokens = 25;

/** English has four bytes a token or so, other scripts about three. */
const tokensOf = (text: string) =>
  Math.ceil(new TextEncoder().encode(text).length / (/[^\0-\u024f]/.test(text) ? 3 : 4));

const textOf = ({ prompt }: Pick<TeacherRequest, 'prompt'>) =>
  typeof prompt === 'string' ? prompt : prompt.map(({ content }) => content).join('\n');

export function estimate(options: RequestOptions & Pick<PipelineOptions, 'before'>): Estimate {
  const { recipe, prompts, before } = options;
  const alpaca = recipe.pipeline === 'alpaca';
  const state = createState({ ...options, dedupe: noDedupe() }, alpaca);
  const first = (alpaca ? alpacaRequests : instructionRequests)(options, state)(0);
  const missing = Math.max(0, recipe.num - before.length);
  const faithful = recipe.style === 'faithful';
  const shown = faithful ? (alpaca ? 3 : 8) : recipe.prompt_tasks;
  const asked = Math.max(1, (faithful ? (alpaca ? 20 : 15) : recipe.tasks_per_request) - shown);
  const requests = Math.ceil(missing / (asked * passing));
  const total = {
    requests,
    promptTokens: requests * tokensOf(textOf(first)),
    completionTokens: requests * Math.min(first.sampling.maxTokens, asked * (alpaca ? taskTokens : instructionTokens)),
  };
  if (!alpaca) {
    const fill = (name: 'classify.txt' | 'input-first.txt') =>
      tokensOf(fillTemplate(prompts.templates[name], { instruction: '' })) + instructionTokens;
    total.requests += 2 * missing;
    total.promptTokens += missing * (fill('classify.txt') + fill('input-first.txt'));
    total.completionTokens += missing * (3 + 2 * taskTokens);
  }
  const cost = costOf(options, total);
  return { first, ...total, ...(cost === undefined ? {} : { cost }) };
}

function costOf({ recipe }: RequestOptions, total: { promptTokens: number; completionTokens: number }) {
  const { endpoints } = recipe;
  const weights = endpoints.reduce((sum, { weight }) => sum + weight, 0);
  if (weights === 0 || endpoints.some(({ prices }) => prices === undefined)) return undefined;
  return endpoints.reduce(
    (sum, { prices, weight }) =>
      sum + ((weight / weights) * (total.promptTokens * prices!.input + total.completionTokens * prices!.output)) / 1e6,
    0,
  );
}
