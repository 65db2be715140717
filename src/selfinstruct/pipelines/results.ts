// The files that a run leaves, out of what it knows: by name, ready to be written.
import { formatAlpacaData, formatRegen } from '../files/alpacaFiles.ts';
import {
  formatClassified,
  formatMachineInstructions,
  formatRawInstances,
  formatRows,
  type MachineInstruction,
} from '../files/selfInstructFiles.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { Rejected, Task } from '../task.ts';
import type { Spending } from '../teacher/types.ts';
import { isFaithful, type PipelineOptions } from './pipeline.ts';
import { prepareFinetuning } from './prepareFinetuning.ts';
import type { RunState } from './runState.ts';
import { type EarlierSelfInstruct, type SelfInstructState, saysYes } from './selfInstruct.ts';

export interface Summary {
  pipeline: Recipe['pipeline'];
  style: Recipe['style'];
  language: string;
  seed: number;
  /** False: stopped before there were enough. */
  complete: boolean;
  /** Accepted tasks, or instructions with self-instruct. */
  accepted: number;
  /** Rows of alpaca_data.json. */
  rows: number;
  rejected: Readonly<Record<string, number>>;
  /** Accepted among all candidates, 0 to 1. */
  acceptance: number;
  answers: number;
  models: string[];
  spent: Spending;
}

export interface Results {
  files: Map<string, string>;
  tasks: readonly Task[];
  summary: Summary;
}

const jsonLines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** regen.json, alpaca_data.json, rejected.jsonl, history.jsonl, summary.json. */
export function alpacaResults(options: PipelineOptions, state: RunState, complete: boolean): Results {
  const ascii = isFaithful(options.recipe);
  const files = new Map([
    ['regen.json', formatRegen(state.pool.accepted, ascii)],
    ['alpaca_data.json', formatAlpacaData(state.pool.accepted, ascii)],
  ]);
  return finish(options, state, complete, files, state.pool.accepted, []);
}

function finish(
  { recipe, teacher }: PipelineOptions,
  { pool, history }: RunState,
  complete: boolean,
  files: Map<string, string>,
  tasks: readonly Task[],
  moreRejected: readonly Rejected[],
): Results {
  const rejected = [...pool.rejected, ...moreRejected];
  const counts: Record<string, number> = {};
  for (const { reason } of rejected) counts[reason] = (counts[reason] ?? 0) + 1;
  const made = pool.accepted.filter(({ request }) => request >= 0).length;
  const candidates = made + pool.rejected.length;
  const summary: Summary = {
    pipeline: recipe.pipeline,
    style: recipe.style,
    language: recipe.language,
    seed: recipe.seed,
    complete,
    accepted: pool.accepted.length,
    rows: tasks.length,
    rejected: Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1))),
    acceptance: candidates === 0 ? 0 : made / candidates,
    answers: history.length,
    models: [...new Set(history.map(({ model }) => model))].filter((model) => model !== '').sort(),
    spent: teacher.spent(),
  };
  files.set('rejected.jsonl', jsonLines(rejected));
  files.set('history.jsonl', jsonLines(history));
  files.set('summary.json', `${JSON.stringify(summary, null, 2)}\n`);
  return { files, tasks, summary };
}

/** Name of the engine as the scripts put it into a file name. */
const engineOf = ({ endpoints }: Recipe) => (endpoints[0]?.model ?? 'teacher').replace(/[^\w.-]+/g, '_');

/** The files of the four scripts, alpaca_data.json, and what every run leaves. */
export function selfInstructResults(
  options: PipelineOptions,
  state: SelfInstructState,
  earlier: EarlierSelfInstruct,
  complete: boolean,
): Results {
  const { recipe, prompts, seeds } = options;
  const { pool } = state;
  const offset = (earlier.instructions.at(-1)?.requestIndex ?? -1) + 1;
  const rows: MachineInstruction[] = pool.accepted.map(({ instruction, nearest, mean, request }, i) =>
    request < 0
      ? earlier.instructions[i]!
      : { instruction, nearest, mean, metadata: state.metadata.get(request) ?? {}, requestIndex: offset + request },
  );
  const inOrder = <T>(found: ReadonlyMap<string, T>) =>
    pool.accepted.flatMap(({ instruction }) => found.get(instruction) ?? []);
  const raw = inOrder(state.instances);
  const prepared = prepareFinetuning({
    raw,
    isClassification: (instruction) =>
      saysYes(state.classified.get(instruction)?.answer ?? '', prompts.language, isFaithful(recipe)),
    prompts,
    seeds,
    recipe,
  });
  const byInstruction = new Map(rows.map((row) => [row.instruction, row]));
  const plain = ({ instruction, input, output }: Task) => ({ instruction, input, output });
  const files = new Map([
    ['machine_generated_instructions.jsonl', formatMachineInstructions(rows)],
    [`is_clf_or_not_${engineOf(recipe)}_template_1.jsonl`, formatClassified(inOrder(state.classified))],
    ['machine_generated_instances.jsonl', formatRawInstances(raw, byInstruction)],
    ['finetuning/all_generated_instances.jsonl', formatRows(prepared.instances.map(plain))],
    [`finetuning/gpt3_finetuning_data_${prepared.pairs.length}.jsonl`, formatRows(prepared.pairs)],
    ['alpaca_data.json', formatAlpacaData(prepared.instances, isFaithful(recipe))],
  ]);
  if (prepared.sampled) {
    files.set(
      `finetuning/sampled_generated_instances_${recipe.sample_instructions}.jsonl`,
      formatRows(prepared.sampled.map(plain)),
    );
  }
  return finish(options, state, complete, files, prepared.instances, prepared.rejected);
}
