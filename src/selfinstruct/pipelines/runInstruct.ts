// One run from start to end: inputs, teacher, pipeline, files.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HuacayaError } from '../../base/index.ts';
import { writeFileAtomic } from '../../base/node.ts';
import { createMinHashDedupe } from '../dedupe/index.ts';
import { createThreadedRougeDedupe } from '../dedupe/node.ts';
import type { BatchDedupe } from '../dedupe/types.ts';
import type { PromptSet } from '../prompts/promptSet.ts';
import { type Recipe, settled } from '../recipe/schema.ts';
import type { Teacher, TeacherRequest } from '../teacher/types.ts';
import { runAlpaca } from './alpaca.ts';
import { isNotAnswered, journalTeacher } from './journalTeacher.ts';
import { noDedupe } from './noDedupe.ts';
import type { PipelineOptions, Progress } from './pipeline.ts';
import { alpacaResults, type Results, type Summary, selfInstructResults } from './results.ts';
import { isRun, type RunFolder, recipeFile, startRun } from './runFolder.ts';
import { createState } from './runState.ts';
import { runSelfInstruct, type SelfInstructState } from './selfInstruct.ts';

export interface InstructRun {
  /** Of `readInputs`. */
  inputs: RunFolder;
  recipe: Recipe;
  /** Text of recipe.yaml; what the run has is replaced, because `num`, endpoints and budget may change. */
  recipeText: string;
  /** Called when the folder is there: the journal lies in it. */
  openTeacher(folder: string): Teacher;
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
}

/** ROUGE-L with the tokeniser of the published pipelines; one that knows other scripts where English rules do not do. */
export function createDedupe({ dedupe, style }: Recipe, { language }: PromptSet): BatchDedupe {
  const { mode, threshold, details } = dedupe;
  if (mode === 'none') return noDedupe();
  const tokenise = style === 'faithful' || language.ascii_start ? 'rouge' : 'unicode';
  if (mode === 'minhash') return createMinHashDedupe({ threshold, tokenise });
  return createThreadedRougeDedupe({ threshold, details, tokenise });
}

/**
 * Starts a run or goes on with it, until there are enough, the signal, or a failure; what is there is written either way.
 * @throws HuacayaError BUDGET_SPENT, TEACHER_*, INSTRUCT_STALLED: after the files are written.
 */
export async function runInstruct(run: InstructRun): Promise<Summary> {
  await openRun(run);
  const teacher = run.openTeacher(run.inputs.path);
  const { summary, failure } = await work(run, teacher);
  if (failure !== undefined) throw failure;
  return summary!;
}

export interface Replayed {
  /** Undefined where there is nothing in the journal yet. */
  summary?: Summary;
  /** What would have to be asked to go on; empty for a run that is complete. */
  missing: TeacherRequest[];
}

/**
 * As `runInstruct` with what the journal holds: asks nobody, writes the files, and tells what is missing.
 * @throws HuacayaError TEACHER_CHANGED, TEACHER_RUN_IN_USE, TEACHER_JOURNAL_DAMAGED, INSTRUCT_STALLED.
 */
export async function replayInstruct(run: Omit<InstructRun, 'openTeacher'>): Promise<Replayed> {
  await openRun(run);
  const teacher = journalTeacher(run.inputs.path);
  // A round of a batch takes a day: rather a few requests too many.
  const { summary, failure } = await work({ ...run, hope: 0.7 }, teacher);
  if (failure !== undefined && !isNotAnswered(failure)) throw failure;
  return { ...(summary ? { summary } : {}), missing: teacher.missing };
}

async function openRun({ inputs, recipe, recipeText }: Omit<InstructRun, 'openTeacher'>): Promise<void> {
  if (isRun(inputs.path)) await writeFileAtomic(join(inputs.path, recipeFile), recipeText);
  else await startRun(inputs, settled(recipe), recipeText);
}

/** Runs the pipeline, writes what there is, closes the teacher. */
async function work(
  { inputs, signal, hope, onProgress, ...run }: Omit<InstructRun, 'openTeacher'> & { hope?: number },
  teacher: Teacher,
): Promise<{ summary?: Summary; failure?: unknown }> {
  const { path, prompts, seeds, before, earlier } = inputs;
  const recipe = settled(run.recipe);
  const dedupe = createDedupe(recipe, prompts);
  const options: PipelineOptions = {
    recipe,
    prompts,
    seeds,
    before,
    teacher,
    dedupe,
    ...(signal ? { signal } : {}),
    ...(hope ? { hope } : {}),
    ...(onProgress ? { onProgress } : {}),
  };
  try {
    const state = createState(options, recipe.pipeline === 'alpaca');
    const stages: SelfInstructState = { ...state, metadata: new Map(), classified: new Map(), instances: new Map() };
    const alpaca = recipe.pipeline === 'alpaca';
    const outcome = await (alpaca ? runAlpaca(options, state) : runSelfInstruct(options, stages, earlier)).then(
      (complete) => ({ complete }),
      (failure: unknown) => ({ complete: false, failure }),
    );
    // A refused key at the first request leaves no empty files; after a bug nothing is known.
    if ('failure' in outcome && (state.history.length === 0 || !(outcome.failure instanceof HuacayaError))) {
      return { failure: outcome.failure };
    }
    const { complete } = outcome;
    const results = alpaca
      ? alpacaResults(options, state, complete)
      : selfInstructResults(options, stages, earlier, complete);
    await writeResults(path, results);
    return { summary: results.summary, ...('failure' in outcome ? { failure: outcome.failure } : {}) };
  } finally {
    await Promise.allSettled([teacher.close(), dedupe.close()]);
  }
}

const countedFile = /^(?:gpt3_finetuning_data|sampled_generated_instances)_\d+\.jsonl$/;

async function writeResults(folder: string, { files }: Results): Promise<void> {
  // Names in it hold a count: an older one would stay beside the new. What else is there is not ours.
  const older = await readdir(join(folder, 'finetuning')).catch(() => []);
  for (const name of older.filter((name) => countedFile.test(name))) await rm(join(folder, 'finetuning', name));
  for (const [name, text] of files) await writeFileAtomic(join(folder, name), text);
}
