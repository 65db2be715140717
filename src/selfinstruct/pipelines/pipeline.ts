// What both pipelines are given and what they tell on the way.
import type { BatchDedupe } from '../dedupe/types.ts';
import { createFilter, type Filter, faithfulFilters, languageFilters } from '../filters/filters.ts';
import type { PromptSet } from '../prompts/promptSet.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { Accepted, SeedTask } from '../task.ts';
import type { Spending, Teacher, TeacherReply, TeacherSampling } from '../teacher/types.ts';
import type { RejectCounts } from './pool.ts';

export type Stage = 'tasks' | 'instructions' | 'classification' | 'instances';

export interface Progress {
  stage: Stage;
  /** Done and wanted of this stage: tasks, instructions, answers. */
  done: number;
  wanted: number;
  /** Answers taken in this stage. */
  answers: number;
  accepted: number;
  rejected: RejectCounts;
  spent: Spending;
}

/** One line of history.jsonl: what a request brought. */
export interface RequestHistory {
  id: string;
  accepted: number;
  rejected: RejectCounts;
  promptTokens: number;
  completionTokens: number;
  cost: number;
  model: string;
}

export interface PipelineOptions {
  recipe: Recipe;
  prompts: PromptSet;
  seeds: readonly SeedTask[];
  teacher: Teacher;
  dedupe: BatchDedupe;
  /** Accepted by a run that this one goes on from. */
  before: readonly Accepted[];
  signal?: AbortSignal;
  /** Share of an answer's tasks that is hoped for when nothing is known yet; less asks for more at once. Default 1. */
  hope?: number;
  onProgress?(progress: Progress): void;
}

/** What the prompts of a run depend on, beside the pool. */
export type RequestOptions = Pick<PipelineOptions, 'recipe' | 'prompts' | 'seeds'>;

export const isFaithful = ({ style }: Recipe): boolean => style === 'faithful';

/** JSON answers; `auto` has been settled when the run started. */
export const isStructured = ({ style, structured }: Recipe): boolean => style === 'improved' && structured === true;

/** @param wholeTask false where there is no output yet. */
export function filterOf({ recipe, prompts }: Pick<PipelineOptions, 'recipe' | 'prompts'>, wholeTask: boolean): Filter {
  const base = isFaithful(recipe) ? faithfulFilters(recipe.pipeline) : languageFilters(prompts);
  const { min_words, max_words, keywords } = recipe.filters;
  return createFilter({
    ...base,
    wholeTask: base.wholeTask && wholeTask,
    ...(min_words === undefined ? {} : { minWords: min_words }),
    ...(max_words === undefined ? {} : { maxWords: max_words }),
    ...(keywords === undefined ? {} : { keywords }),
  });
}

/** The recipe's own sampling over that of pipeline and style. */
export function samplingOf(base: TeacherSampling, { sampling }: Recipe): TeacherSampling {
  const { temperature, top_p, max_tokens, presence_penalty, frequency_penalty } = sampling;
  return {
    ...base,
    ...(temperature === undefined ? {} : { temperature }),
    ...(top_p === undefined ? {} : { topP: top_p }),
    ...(max_tokens === undefined ? {} : { maxTokens: max_tokens }),
    ...(presence_penalty === undefined ? {} : { presencePenalty: presence_penalty }),
    ...(frequency_penalty === undefined ? {} : { frequencyPenalty: frequency_penalty }),
  };
}

export const historyOf = (reply: TeacherReply, accepted: number, rejected: RejectCounts): RequestHistory => ({
  id: reply.id,
  accepted,
  rejected,
  promptTokens: reply.promptTokens,
  completionTokens: reply.completionTokens,
  cost: reply.cost,
  model: reply.model,
});

export const refusedHistory = (id: string): RequestHistory => ({
  id,
  accepted: 0,
  rejected: { refused: 1 },
  promptTokens: 0,
  completionTokens: 0,
  cost: 0,
  model: '',
});

/** What was added to counts since `before`. */
export function countsSince(before: RejectCounts, now: RejectCounts): RejectCounts {
  const added = Object.entries(now).map(([reason, n]) => [reason, n - (before[reason as keyof RejectCounts] ?? 0)]);
  return Object.fromEntries(added.filter(([, n]) => (n as number) > 0));
}
