// Everything of a fine-tuning run that can be checked before the model is loaded.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createRng, HuacayaError, usageError } from '../base/index.ts';
import { outputExists } from '../base/node.ts';
import {
  type AlpacaRecord,
  buildExamples,
  type Example,
  type PromptTemplate,
  packExamples,
  splitRecords,
} from '../data/index.ts';
import { loadTemplate, readRecords } from '../data/node.ts';
import type { LoraConfig } from '../models/index.ts';
import type { Checkpoint } from '../models/node.ts';
import { trainedIn } from '../runner/index.ts';
import { stepCount, type TrainOptions } from '../train/index.ts';
import type { Output } from './output.ts';
import { planRun, type RunPlan } from './planRun.ts';
import { openModel } from './session.ts';
import { type Settings, targetModules } from './settings.ts';

export interface PreparedRun {
  folder: string;
  checkpoint: Checkpoint;
  template: PromptTemplate;
  lora: LoraConfig;
  examples: Example[];
  heldOut: Example[];
  /** Optimiser steps. */
  totalSteps: number;
  warmupSteps: number;
  tokens: number;
  /** The settings with what the plan chose. */
  settings: Settings;
  plan: RunPlan;
}

function runFolder(s: Settings, now: Date): string {
  if (s.output_dir) return s.output_dir;
  const data = basename(s.data_path).replace(/\.jsonl?$/, '');
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return join('runs', `${data}-${stamp}`);
}

function tokenise(out: Output, path: string, records: AlpacaRecord[], p: PromptTemplate, c: Checkpoint, s: Settings) {
  const options = { cutoffLen: s.cutoff_len, trainOnInputs: s.train_on_inputs, addEos: true };
  const built = buildExamples(records, p, c.tokenizer, options);
  for (const { line, reason } of built.skipped.slice(0, 5)) out.warn(`${path}:${line}: row skipped: ${reason}`);
  const more = built.skipped.length - 5;
  if (more > 0)
    out.warn(
      `${path}: ${more} more rows skipped, lines ${built.skipped
        .slice(5)
        .map((r) => r.line)
        .join(', ')}`,
    );
  if (built.truncated > 0) {
    const share = Math.round((100 * built.truncated) / built.examples.length);
    out.warn(
      `${path}: ${built.truncated} rows (${share} %) are longer than cutoff_len ${s.cutoff_len}: cut, and without an end token`,
    );
  }
  checkTokens(path, built.examples, c);
  return built.examples;
}

/** A tokenizer may know more tokens than the model has rows for, as where tokens were added later. */
function checkTokens(path: string, examples: readonly Example[], c: Checkpoint): void {
  for (const { ids, line } of examples) {
    const beyond = ids.find((id) => id >= c.config.vocabSize);
    if (beyond === undefined) continue;
    const token = JSON.stringify(c.tokenizer.tokenText(beyond));
    throw new HuacayaError(
      'TOKEN_RANGE',
      `${path}:${line}: has the token ${token} (id ${beyond}), but ${c.name} knows ${c.config.vocabSize} tokens`,
      { hint: 'The tokenizer and the weights belong to different models.' },
    );
  }
}

const stepOptions = (s: Settings) => ({
  batchSize: s.batch_size,
  epochs: s.num_epochs,
  ...(s.max_steps ? { maxSteps: s.max_steps } : {}),
});

/**
 * Reads and checks settings, data and model files, and plans the memory; writes nothing.
 * @param given names of the settings that are not to be changed.
 * @throws HuacayaError with one clear line.
 */
export async function prepareRun(
  out: Output,
  s: Settings,
  overwrite: boolean,
  given: ReadonlySet<string>,
): Promise<PreparedRun> {
  const lora: LoraConfig = {
    r: s.lora_r,
    alpha: s.lora_alpha,
    dropout: s.lora_dropout,
    targetModules: targetModules(s.lora_target_modules),
    useRslora: s.use_rslora,
  };
  const folder = runFolder(s, new Date());
  if (existsSync(folder) && !overwrite) throw outputExists(folder);
  const template = await loadTemplate(s.prompt_template_name);
  const { records } = await readRecords(s.data_path);
  const rng = createRng(s.seed).fork('split');
  const split = s.val_data_path
    ? { train: records, val: (await readRecords(s.val_data_path)).records }
    : splitRecords(records, s.val_set_size, rng);

  const checkpoint = await openModel(s.base_model);
  try {
    for (const repair of checkpoint.repairs) out.warn(`${checkpoint.name}: ${repair}`);
    if (s.cutoff_len > checkpoint.config.maxPositions) {
      throw usageError(
        `cutoff_len is ${s.cutoff_len}, but ${checkpoint.name} has ${checkpoint.config.maxPositions} positions`,
      );
    }
    const examples = tokenise(out, s.data_path, split.train, template, checkpoint, s);
    if (examples.length === 0) {
      throw new HuacayaError('NO_EXAMPLES', `${s.data_path}: no row is left to train on`, {
        hint: 'The lines above say why rows were skipped; a larger --cutoff-len may help.',
      });
    }
    const heldOut = tokenise(out, s.val_data_path ?? s.data_path, split.val, template, checkpoint, s);
    // Fails here, and not in the first step, when pack_len is too small.
    packExamples([...examples, ...heldOut], { packLen: s.pack_len, sharedPrefix: s.shared_prefix });
    const trained = trainedIn(checkpoint.config, s.precision);
    if (trained !== s.precision) {
      const { architecture } = checkpoint.config;
      out.warn(`${architecture} has norms behind its matrices, ${s.precision} has not: using ${trained}`);
    }
    const plan = await planRun(checkpoint.config, { ...s, precision: trained }, lora, { examples, heldOut }, given);
    const { precision, packTokens, oneCopy, recompute } = plan.settings;
    const totalSteps = stepCount(examples.length, stepOptions(s));
    return {
      folder,
      checkpoint,
      template,
      lora,
      examples,
      heldOut,
      totalSteps,
      warmupSteps: s.warmup_steps ?? Math.round(s.warmup_ratio * totalSteps),
      tokens: examples.reduce((n, e) => n + e.ids.length, 0),
      settings: { ...s, precision, pack_len: packTokens, one_copy: oneCopy, recompute },
      plan,
    };
  } catch (e) {
    await checkpoint.weights.close();
    throw e;
  }
}

/** The trainer's options, without the model and the callbacks. */
export function trainOptions(s: Settings, run: PreparedRun): Omit<TrainOptions, 'model'> {
  return {
    examples: run.examples,
    heldOut: run.heldOut,
    lora: run.lora,
    ...stepOptions(s),
    packLength: s.pack_len,
    sharedPrefix: s.shared_prefix,
    recompute: s.recompute === true,
    learningRate: s.learning_rate,
    schedule: s.lr_scheduler,
    warmupSteps: run.warmupSteps,
    weightDecay: s.weight_decay,
    maxGradNorm: s.max_grad_norm,
    seed: s.seed,
    evalSteps: s.eval_steps,
  };
}
