// Self-instruct: a teacher writes tasks from a few seeds. What needs no Node; node.ts has teachers, runs and their folders.
export { createEmbeddingDedupe, createMinHashDedupe, createRougeDedupe } from './dedupe/index.ts';
export type { Dedupe, Neighbour, Verdict } from './dedupe/types.ts';
export { formatAlpacaData, formatRegen, parseRegen } from './files/alpacaFiles.ts';
export { pythonJson } from './files/pythonJson.ts';
export { formatSeedTasks, parseSeedTasks } from './files/seedTasks.ts';
export {
  parseClassified,
  parseMachineInstructions,
  parseRawInstances,
} from './files/selfInstructFiles.ts';
export { createFilter, type FilterSettings, faithfulFilters, languageFilters } from './filters/filters.ts';
export { isRefusal } from './filters/refusal.ts';
export { alpacaRequests } from './pipelines/alpaca.ts';
export { type Estimate, estimate } from './pipelines/estimate.ts';
export type { PipelineOptions, Progress, RequestHistory, Stage } from './pipelines/pipeline.ts';
export { type Prepared, prepareFinetuning } from './pipelines/prepareFinetuning.ts';
export type { Summary } from './pipelines/results.ts';
export { type PromptSet, parsePromptSet, promptFiles } from './prompts/promptSet.ts';
export { findContamination } from './quality/contamination.ts';
export { type EvaluationSet, parseEvaluationSet } from './quality/evaluationSet.ts';
export {
  changedKeys,
  onlyCompletions,
  type Recipe,
  type RecipeEndpoint,
  type RecipeKey,
  recipeKeys,
  recipeSchema,
  settled,
} from './recipe/schema.ts';
export {
  type Answered,
  type AnswerOptions,
  type AskOptions,
  answerTasks,
  bestAnswer,
  type Direction,
  evolveTasks,
  judgeTasks,
  type Mark,
  type PreferencePair,
  preferencePair,
  type RefinePrompts,
} from './refine/index.ts';
export { type ReportData, reportPage } from './report/index.ts';
export { type Accepted, type Rejected, type RejectReason, rejectReasons, type SeedTask, type Task } from './task.ts';
export type { Spending, Teacher, TeacherReply, TeacherRequest, TeacherSampling } from './teacher/types.ts';
