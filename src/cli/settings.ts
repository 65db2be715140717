// The settings of a fine-tuning run: one schema gives the checks, the flags of `huacaya train` and the keys of a YAML
// file. Flag > --config file > --recipe > recipes/default.yaml.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { nearNames, usageError } from '../base/index.ts';
import { moduleNames } from '../models/index.ts';
import { precisions } from '../quant/index.ts';
import { schedules } from '../train/index.ts';
import { readYamlSettings } from './yamlSettings.ts';

/** From the command line numbers come as text; nothing else is turned into one (Number(true) and Number('') are traps). */
const number = (check: z.ZodNumber = z.number()) =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value), check);
const count = (least: number) => number(z.number().int().min(least));
const memorySize = /^(\d+(?:\.\d+)?)\s*([GM])(i?)B?$/i;

/** Bytes of a size such as 8GB, 500MB or 7.5GiB; undefined for anything else. */
export function parseMemory(text: string): number | undefined {
  const [, amount, unit, binary] = memorySize.exec(text.trim()) ?? [];
  if (!amount || !unit) return undefined;
  return Number(amount) * (binary ? 1024 : 1000) ** (unit.toUpperCase() === 'G' ? 3 : 2);
}

const trueOrFalse = [z.boolean(), z.enum(['true', 'false']).transform((s) => s === 'true')] as const;
const flag = z.union(trueOrFalse, { error: 'write true or false' });
const autoOrFlag = z.union([z.literal('auto'), ...trueOrFalse], { error: 'write auto, true or false' });

/** Names as in alpaca-lora's finetune.py where it has them. */
export const settingsSchema = z.strictObject({
  base_model: z.string().min(1).describe('model: a name such as smollm2-135m-instruct, a folder, or a .gguf file'),
  data_path: z.string().min(1).describe('training rows: Alpaca JSON or JSON Lines (instruction, input, output)'),
  val_data_path: z.string().optional().describe('held-out rows from a file of their own'),
  val_set_size: number(z.number().min(0)).describe('rows held out of the training file: a number, or a share below 1'),
  output_dir: z.string().optional().describe('run folder to create (default: runs/<data>-<time>)'),
  prompt_template_name: z.string().describe('alpaca, alpaca_legacy, alpaca_short, vigogne, or a JSON file of yours'),
  train_on_inputs: flag.describe('loss on the prompt too, not only on the answer'),
  cutoff_len: count(2).describe('longest example in tokens; longer ones are cut on the right'),
  pack_len: count(2).describe('tokens per forward pass; changes speed and memory, never the result'),
  shared_prefix: flag.describe('compute a prefix that rows of a pack share once; changes speed, never the result'),
  batch_size: count(1).describe('examples per optimiser step'),
  num_epochs: number(z.number().positive()).describe('times through the data'),
  max_steps: count(1).optional().describe('stop after so many optimiser steps'),
  learning_rate: number(z.number().positive()).describe('peak learning rate of AdamW'),
  lr_scheduler: z.enum(schedules).describe(`after the warm-up: ${schedules.join(', ')}`),
  warmup_steps: count(0).optional().describe('updates of linear warm-up'),
  warmup_ratio: number(z.number().min(0).max(1)).describe(
    'warm-up as a share of the run, where warmup_steps is not set',
  ),
  weight_decay: number(z.number().min(0)).describe('decoupled weight decay'),
  max_grad_norm: number(z.number().min(0)).describe('clip the gradient to this norm; 0: do not'),
  lora_r: count(1).describe('rank of the adapter'),
  lora_alpha: number(z.number().positive()).describe('scale of the adapter is lora_alpha / lora_r'),
  lora_dropout: number(z.number().min(0).lt(1)).describe('dropout on the adapter input'),
  lora_target_modules: z
    .union([z.string(), z.array(z.string())])
    .describe(`all-linear, or some of ${moduleNames.join(', ')}`),
  use_rslora: flag.describe('scale by lora_alpha / sqrt(lora_r)'),
  precision: z
    .enum(precisions)
    .describe(
      'fp32: exact; int8: faster; int4, nf4: 4-bit weights in exact products; w4a8: 4-bit weights, 8-bit products',
    ),
  memory: z
    .string()
    .refine((s) => s === 'auto' || parseMemory(s) !== undefined, 'write auto, or a size such as 8GB or 500MB')
    .describe('most memory to take, e.g. 8GB; auto: what is free now'),
  recompute: autoOrFlag.describe(
    'keep the inputs of layers only, and compute the rest again: slower, less memory; auto: if it must be',
  ),
  one_copy: autoOrFlag.describe(
    'int8 with one copy of each matrix: a little slower, half the weights; auto: if it must be',
  ),
  threads: count(1).optional().describe('cores to use (default: all)'),
  seed: number(z.number().int()).describe('seed of everything random'),
  eval_steps: count(0).describe('held-out loss every so many steps; 0: before and after only'),
});

export type Settings = z.infer<typeof settingsSchema>;
export type SettingName = keyof typeof settingsSchema.shape;
export const settingNames = Object.keys(settingsSchema.shape) as SettingName[];

const recipesFolder = fileURLToPath(new URL('../../recipes/', import.meta.url));

const readSettingsFile = (path: string) => readYamlSettings(path, settingNames);

/** A recipe by name, or a settings file by path. Data that a built-in recipe names lies in the package. */
async function readRecipe(name: string): Promise<Record<string, unknown>> {
  const builtIn = join(recipesFolder, `${name}.yaml`);
  if (/^[\w-]+$/.test(name) && existsSync(builtIn)) {
    const settings = await readSettingsFile(builtIn);
    for (const key of ['data_path', 'val_data_path']) {
      const path = settings[key];
      if (typeof path === 'string') settings[key] = relative('', join(recipesFolder, '..', path));
    }
    return settings;
  }
  if (existsSync(name)) return readSettingsFile(name);
  throw usageError(`unknown recipe "${name}"`, 'Known: default, alpaca-classic, demo; or the path of a YAML file.');
}

export interface SettingsSources {
  recipe?: string;
  config?: string;
  /** Given on the command line. */
  flags: Readonly<Record<string, unknown>>;
}

/** What the user asked for by flag or file, and not only a recipe: nobody else may change that. */
export async function givenSettings(sources: SettingsSources): Promise<ReadonlySet<string>> {
  return new Set(Object.keys({ ...(sources.config ? await readSettingsFile(sources.config) : {}), ...sources.flags }));
}

/** @throws HuacayaError USAGE naming the setting and what it should be. */
export async function resolveSettings(sources: SettingsSources): Promise<Settings> {
  const merged = {
    ...(await readRecipe('default')),
    ...(sources.recipe ? await readRecipe(sources.recipe) : {}),
    ...(sources.config ? await readSettingsFile(sources.config) : {}),
    ...sources.flags,
  };
  const parsed = settingsSchema.safeParse(merged);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const name = issue.path.join('.');
  const given = (merged as Record<string, unknown>)[name];
  if (given === undefined)
    throw usageError(`${name} is missing`, `Give --${name.replaceAll('_', '-')}, or set it in a file.`);
  throw usageError(`${name} is ${JSON.stringify(given)}: ${issue.message}`);
}

/** @throws HuacayaError USAGE for a module that does not exist. */
export function targetModules(setting: Settings['lora_target_modules']) {
  const list = Array.isArray(setting) ? setting : setting.replace(/^\[|\]$/g, '').split(',');
  const names = list.map((s) => s.trim().replace(/^['"]|['"]$/g, '')).filter(Boolean);
  if (names.length === 1 && names[0] === 'all-linear') return [...moduleNames];
  for (const n of names) {
    if (moduleNames.includes(n as never)) continue;
    const [near] = nearNames(n, moduleNames);
    const known = `Known: ${moduleNames.join(', ')}, or all-linear.`;
    throw usageError(`unknown target module "${n}"`, near ? `Did you mean "${near}"? ${known}` : known);
  }
  return moduleNames.filter((m) => names.includes(m));
}
