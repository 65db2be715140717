// The training loop: examples -> packs -> gradients -> AdamW. Everything it needs to know comes in, everything it has
// to say goes out through callbacks; it neither prints nor writes files.
import { createRng, HuacayaError, type Rng, usageError } from '../base/index.ts';
import { batchPacks, type Example, epochOrder, type Pack, packExamples } from '../data/index.ts';
import { initLora, type LoraConfig, type LoraLayout, loraLayout } from '../models/index.ts';
import { type ResidentModel, TrainingPass } from '../runner/index.ts';
import { clipGradients, createAdamW } from './adamw.ts';
import { learningRateAt, type Schedule } from './schedule.ts';

export interface TrainOptions {
  model: ResidentModel;
  examples: readonly Example[];
  /** Held-out examples; may be empty. */
  heldOut: readonly Example[];
  lora: LoraConfig;
  /** Examples per optimiser step. */
  batchSize: number;
  /** Tokens per forward pass. */
  packLength: number;
  /** Compute a prefix that rows of a pack share once (the default). */
  sharedPrefix?: boolean;
  /** Keep less and compute more, see `PassOptions`. */
  recompute?: boolean;
  epochs: number;
  /** Ends the run after so many optimiser steps, whatever `epochs` says. */
  maxSteps?: number;
  learningRate: number;
  schedule: Schedule;
  warmupSteps: number;
  weightDecay: number;
  /** 0: no clipping. */
  maxGradNorm: number;
  seed: number;
  /** Held-out loss every so many steps; 0: only before and after. */
  evalSteps: number;
  /** Aborted: the step in progress is finished, then the run ends as if it were over. */
  signal?: AbortSignal;
  onEvent?: (event: TrainEvent) => void;
  /** Tells the resident memory of the process; it is reported with each step. */
  memoryBytes?: () => number;
}

export interface StepReport {
  /** 1-based. */
  step: number;
  totalSteps: number;
  epoch: number;
  /** Mean loss of the step's target tokens, in nats. */
  loss: number;
  learningRate: number;
  /** Before clipping. */
  gradNorm: number;
  /** Tokens of the step's examples, prompts included, pads excluded. */
  tokens: number;
  targets: number;
  examples: number;
  seconds: number;
  tokensPerSecond: number;
  examplesPerSecond: number;
  /** Resident memory of the whole process; 0 where nobody tells. */
  memoryBytes: number;
  etaSeconds: number;
}

export type TrainEvent =
  | { type: 'start'; totalSteps: number; trainable: number; examples: number; packs: number }
  | ({ type: 'step' } & StepReport)
  | { type: 'heldOut'; step: number; loss: number }
  | { type: 'skipped'; step: number; reason: string };

export interface TrainResult {
  layout: LoraLayout;
  params: Float32Array;
  /** Optimiser steps done. */
  steps: number;
  /** Loss of each step. */
  losses: number[];
  heldOutBefore?: number;
  heldOutAfter?: number;
  /** Ended by the signal. */
  stopped: boolean;
}

/** After so many unusable steps in a row the run is given up. */
const maxBadSteps = 3;

function checkOptions(o: TrainOptions): void {
  const whole = (name: string, value: number, least: number) => {
    if (!Number.isInteger(value) || value < least) {
      throw usageError(`${name} is ${value}; it must be a whole number of at least ${least}`);
    }
  };
  whole('batch_size', o.batchSize, 1);
  whole('warmup_steps', o.warmupSteps, 0);
  whole('eval_steps', o.evalSteps, 0);
  if (o.maxSteps !== undefined) whole('max_steps', o.maxSteps, 1);
  if (!(o.epochs > 0)) throw usageError(`num_epochs is ${o.epochs}; it must be above 0`);
  if (!(o.learningRate > 0)) throw usageError(`learning_rate is ${o.learningRate}; it must be above 0`);
  if (!(o.weightDecay >= 0)) throw usageError(`weight_decay is ${o.weightDecay}; it must be 0 or more`);
  if (!(o.maxGradNorm >= 0)) throw usageError(`max_grad_norm is ${o.maxGradNorm}; it must be 0 or more`);
  if (o.examples.length === 0) throw new HuacayaError('NO_EXAMPLES', 'there is no example to train on');
}

/** Optimiser steps of a run. */
export function stepCount(examples: number, o: Pick<TrainOptions, 'batchSize' | 'epochs' | 'maxSteps'>): number {
  return Math.min(o.maxSteps ?? Infinity, Math.ceil(Math.ceil(examples / o.batchSize) * o.epochs));
}

/** Mean loss per target token of `packs`. */
async function meanLoss(pass: TrainingPass, packs: readonly Pack[]): Promise<number> {
  let sum = 0;
  for (const pack of packs) sum += await pass.evaluate(pack.families);
  return sum / packs.reduce((n, p) => n + p.targets, 0);
}

/** A gradient of exactly 0 with a loss left is an overflow too: RMSNorm turns activations beyond 1e19 into zeros. */
const overflowed = (loss: number, gradNorm: number) =>
  !Number.isFinite(loss) || !Number.isFinite(gradNorm) || (gradNorm === 0 && loss > 1e-3);

const notFinite = (detail: string) =>
  new HuacayaError('NOT_FINITE', detail, { hint: 'Lower --learning-rate, or look at the rows named here.' });

/**
 * Trains a fresh LoRA adapter.
 * @throws HuacayaError USAGE for bad options, NO_EXAMPLES, NOT_FINITE after three unusable steps in a row or when
 *   the last update broke the model.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkOptions(options);
  const layout = loraLayout(options.model.config, options.lora);
  const pass = await TrainingPass.create(options.model, layout, { recompute: !!options.recompute });
  try {
    return await loop(options, pass, layout);
  } finally {
    pass.release();
  }
}

/** Loss and gradient of one optimiser step: its packs weigh by their targets, so how it was packed does not matter. */
async function stepGradient(pass: TrainingPass, packs: readonly Pack[], size: number, rng: Rng) {
  const targets = packs.reduce((n, p) => n + p.targets, 0);
  const gradients = new Float32Array(size);
  let loss = 0;
  for (const pack of packs) {
    const part = await pass.run(pack.families, 1 / targets, rng);
    loss += part.loss;
    for (let i = 0; i < gradients.length; i++) gradients[i]! += part.gradients[i]!;
  }
  return { loss, gradients, targets };
}

async function loop(options: TrainOptions, pass: TrainingPass, layout: LoraLayout): Promise<TrainResult> {
  const { examples, batchSize, packLength, seed } = options;
  const packing = { packLen: packLength, sharedPrefix: options.sharedPrefix ?? true };
  const emit = options.onEvent ?? (() => {});
  const params = initLora(layout, seed);
  const optimiser = createAdamW(layout.size, { weightDecay: options.weightDecay });
  const dropoutRng = createRng(seed).fork('dropout');

  const stepsPerEpoch = Math.ceil(examples.length / batchSize);
  const totalSteps = stepCount(examples.length, options);
  const heldOut = options.heldOut.length ? packExamples(options.heldOut, packing) : [];
  emit({
    type: 'start',
    totalSteps,
    trainable: layout.size,
    examples: examples.length,
    packs: packExamples(examples, packing).length,
  });

  await pass.setParameters(params);
  let heldOutAfter: number | undefined;
  const evaluate = async (step: number) => {
    if (heldOut.length === 0) return undefined;
    heldOutAfter = await meanLoss(pass, heldOut);
    emit({ type: 'heldOut', step, loss: heldOutAfter });
    return heldOutAfter;
  };
  const heldOutBefore = await evaluate(0);

  const losses: number[] = [];
  let badInARow = 0;
  let evaluatedAt = 0;
  let step = 0;
  const started = performance.now();
  const finished = () => step >= totalSteps || options.signal?.aborted;
  for (let epoch = 0; !finished(); epoch++) {
    const order = epochOrder(examples.length, seed, epoch).map((i) => examples[i]!);
    for (const packs of batchPacks(order, { batchSize, ...packing })) {
      if (finished()) break;
      const begin = performance.now();
      const { loss, gradients, targets } = await stepGradient(pass, packs, layout.size, dropoutRng);
      const gradNorm = clipGradients(gradients, options.maxGradNorm);
      const learningRate = learningRateAt(step, {
        peak: options.learningRate,
        warmupSteps: options.warmupSteps,
        totalSteps,
        schedule: options.schedule,
      });
      step++;
      if (!overflowed(loss, gradNorm)) {
        badInARow = 0;
        await optimiser.step(params, gradients, learningRate);
        await pass.setParameters(params);
      } else {
        badInARow++;
        const lines = packs.flatMap((p) => p.segments.map((s) => s.line));
        const reason = `loss ${loss}, gradient norm ${gradNorm}, rows from lines ${lines.join(', ')}`;
        if (badInARow >= maxBadSteps) {
          throw notFinite(`step ${step}: ${maxBadSteps} steps in a row overflowed (${reason})`);
        }
        emit({ type: 'skipped', step, reason });
        continue;
      }
      losses.push(loss);
      const seconds = (performance.now() - begin) / 1000;
      const tokens = packs.reduce((n, p) => n + p.tokens, 0);
      const count = packs.reduce((n, p) => n + p.segments.length, 0);
      emit({
        type: 'step',
        step,
        totalSteps,
        epoch: step / stepsPerEpoch,
        loss,
        learningRate,
        gradNorm,
        tokens,
        targets,
        examples: count,
        seconds,
        tokensPerSecond: tokens / seconds,
        examplesPerSecond: count / seconds,
        memoryBytes: options.memoryBytes?.() ?? 0,
        etaSeconds: ((performance.now() - started) / 1000 / step) * (totalSteps - step),
      });
      if (options.evalSteps > 0 && step % options.evalSteps === 0) {
        await evaluate(step);
        evaluatedAt = step;
      }
    }
  }
  if (evaluatedAt !== step) await evaluate(step);
  // The last update has no step after it that would notice, and a broken adapter must not be handed out.
  const check = await pass.run(examples.slice(0, 1), 1);
  const checkNorm = clipGradients(check.gradients, 0);
  if (overflowed(check.loss, checkNorm)) {
    throw notFinite(`after step ${step} the model is broken: loss ${check.loss}, gradient norm ${checkNorm}`);
  }
  return {
    layout,
    params,
    steps: step,
    losses,
    ...(heldOutBefore !== undefined ? { heldOutBefore } : {}),
    ...(heldOutAfter !== undefined ? { heldOutAfter } : {}),
    stopped: !!options.signal?.aborted && step < totalSteps,
  };
}
