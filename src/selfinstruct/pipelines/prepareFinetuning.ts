// Last stage of Self-Instruct: instances out of raw answers, and prompts and completions out of instances.
import { createRng } from '../../base/index.ts';
import { type RawInstances, stoppedForLength } from '../files/selfInstructFiles.ts';
import { parseInstances } from '../parse/instances.ts';
import type { PromptSet } from '../prompts/promptSet.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { Rejected, SeedTask, Task } from '../task.ts';
import { sample } from './sample.ts';

/** Most instances of one instruction that are trained on. */
const mostInstances = 5;

export interface Prepared {
  /** all_generated_instances.jsonl */
  instances: Task[];
  /** sampled_generated_instances_N.jsonl: those of `sample_instructions` instructions. */
  sampled?: Task[];
  /** gpt3_finetuning_data_N.jsonl */
  pairs: { prompt: string; completion: string }[];
  rejected: Rejected[];
}

export interface PrepareOptions {
  raw: readonly RawInstances[];
  isClassification(instruction: string): boolean;
  prompts: PromptSet;
  seeds: readonly SeedTask[];
  recipe: Pick<Recipe, 'seed' | 'include_seeds' | 'sample_instructions'>;
}

/** As prepare_for_finetuning.py; draws come from the recipe's seed, for Python's generator cannot be repeated here. */
export function prepareFinetuning({ raw, isClassification, prompts, seeds, recipe }: PrepareOptions): Prepared {
  const rng = createRng(recipe.seed).fork('finetuning');
  const rejected: Rejected[] = [];
  const instances = raw.flatMap(({ instruction, text, metadata }) => {
    const parsed = parseInstances(text, instruction, {
      classification: isClassification(instruction),
      stoppedForLength: stoppedForLength(metadata),
      labels: prompts.labels,
    });
    for (const { reason, text: what } of parsed.rejected) rejected.push({ request: -1, reason, text: what });
    return parsed.items.length <= mostInstances ? parsed.items : sample(rng, parsed.items, mostInstances);
  });
  let chosen = instances;
  if (recipe.sample_instructions !== undefined) {
    const names = [...new Set(instances.map(({ instruction }) => instruction))];
    const drawn = new Set(sample(rng, names, recipe.sample_instructions));
    chosen = instances.filter(({ instruction }) => drawn.has(instruction));
  }
  const fromSeeds = recipe.include_seeds
    ? seeds.flatMap(({ instruction, instances: list }) => list.map((instance) => ({ instruction, ...instance })))
    : [];
  const pairs = new Map<string, { prompt: string; completion: string }>();
  for (const task of [...chosen, ...fromSeeds]) {
    const plain = rng.uniform() < 0.5 ? { ...task, input: withoutField(task.input) } : task;
    const form = rng.below(2 ** 16);
    const pair = encode(plain, prompts.finetuning, form);
    const key = JSON.stringify(pair);
    if (!pairs.has(key)) pairs.set(key, pair);
  }
  return {
    instances,
    ...(chosen === instances ? {} : { sampled: chosen }),
    pairs: rng.shuffle([...pairs.values()]),
    rejected,
  };
}

/** A lone "field:" in front goes, and blank lines do. */
function withoutField(input: string): string {
  const fields = new Set([...input.matchAll(/([\p{L}\p{N}_]+):/gu)].map((m) => m[1]));
  const text = fields.size === 1 ? input.slice(input.indexOf(':') + 1) : input;
  return text.trim().replaceAll('\n\n', '\n');
}

/** One of the forms with or without input; an answer behind an open colon begins with a space. */
function encode({ instruction, input, output }: Task, forms: readonly string[], draw: number) {
  const fitting = forms.filter((form) => form.includes('{{input}}') === (input.trim() !== ''));
  const form = fitting[draw % fitting.length]!;
  const values = { instruction: instruction.trim(), input: input.trim() };
  const prompt = form.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => values[name as 'input'] ?? whole);
  return { prompt, completion: `${prompt.endsWith(':') ? ' ' : ''}${output.trim()}<|endoftext|>` };
}
