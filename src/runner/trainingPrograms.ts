// The programs of a training pass, compiled once and shared by all layers.
import type { CompiledProgram } from '../engine/index.ts';
import { program } from '../graph/index.ts';
import { embedProgram } from './embedding.ts';
import {
  adapterInputs,
  attentionInputOutputs,
  attentionOutputOutputs,
  attentionOutputs,
  type CompiledPair,
  type Compiler,
  compilePair,
  gatherProgram,
  lossOutputs,
  maskProgram,
  scatterProgram,
} from './programs.ts';
import type { ModuleRanks } from './projections.ts';
import type { ResidentModel } from './residentModel.ts';

export interface LayerPrograms {
  /** x to q, k, v. */
  before: CompiledPair;
  /** x, o to y. */
  after: CompiledPair;
}

/** How many sequences one attention program takes; a pack is cut greedily into groups of these sizes. */
export const groupSizes = [8, 4, 2, 1] as const;

export interface TrainingPrograms {
  embed: CompiledProgram;
  gather: CompiledProgram;
  mask: CompiledProgram;
  /** Where some layers see a window only. */
  windowMask: CompiledProgram | undefined;
  scatter: CompiledProgram;
  /** All layers but the first. */
  upper: LayerPrograms;
  /** The first layer, which hands no gradient down. */
  first: LayerPrograms;
  /** Any layer in evaluation. */
  plain: LayerPrograms;
  /** By group size. */
  attention: ReadonlyMap<number, CompiledPair>;
  plainAttention: ReadonlyMap<number, CompiledPair>;
  loss: CompiledProgram;
  lossOnly: CompiledProgram;
  /** Layers keep their input only, and are run again in the backward pass. */
  recompute: boolean;
  /** Every program above, to give them back. */
  all: readonly CompiledProgram[];
}

export async function compileTraining(
  model: ResidentModel,
  ranks: ModuleRanks,
  { dropout, recompute: again }: { dropout: boolean; recompute: boolean },
): Promise<TrainingPrograms> {
  const { config: c, basis } = model;
  const all: CompiledProgram[] = [];
  const runtime: Compiler = {
    async compile(p) {
      const made = await model.runtime.compile(p);
      all.push(made);
      return made;
    },
  };
  const options = { ranks, training: true, dropout };
  const before = attentionInputOutputs(c, basis, options);
  const after = attentionOutputOutputs(c, basis, options);
  const beforeAdapters = adapterInputs(ranks, ['q_proj', 'k_proj', 'v_proj']);
  const afterAdapters = adapterInputs(ranks, ['o_proj', 'gate_proj', 'up_proj', 'down_proj']);
  const plain = { ranks, training: true };

  const attention = new Map<number, CompiledPair>();
  const plainAttention = new Map<number, CompiledPair>();
  for (const size of groupSizes) {
    const outputs = attentionOutputs(c, size);
    const wrt = Array.from({ length: size }, (_, i) => [`q${i}`, `k${i}`, `v${i}`]).flat();
    attention.set(size, await compilePair(runtime, `attention.${size}`, outputs, wrt));
    plainAttention.set(size, await compilePair(runtime, `attention.${size}.plain`, outputs, []));
  }
  return {
    embed: await runtime.compile(embedProgram(c, basis)),
    gather: await runtime.compile(gatherProgram(c)),
    mask: await runtime.compile(maskProgram()),
    windowMask: c.slidingWindow && (await runtime.compile(maskProgram(c.slidingWindow.size))),
    scatter: await runtime.compile(scatterProgram(c)),
    upper: {
      before: await compilePair(runtime, 'before', before, ['x', ...beforeAdapters], { residual: 'x' }),
      after: await compilePair(runtime, 'after', after, ['x', 'o', ...afterAdapters], { again }),
    },
    first: {
      before: await compilePair(runtime, 'before.first', before, beforeAdapters),
      // Without an adapter on q, k, v there is nothing in the first layer that a gradient of o would lead to.
      after: await compilePair(
        runtime,
        'after.first',
        after,
        // Without an adapter on q, k, v there is nothing in the first layer that a gradient of o would lead to.
        [...(beforeAdapters.length > 0 ? ['o'] : []), ...afterAdapters],
        { again },
      ),
    },
    plain: {
      before: await compilePair(runtime, 'before.plain', attentionInputOutputs(c, basis, plain), []),
      after: await compilePair(runtime, 'after.plain', attentionOutputOutputs(c, basis, plain), []),
    },
    attention,
    plainAttention,
    loss: await runtime.compile(program('loss', lossOutputs(c, basis, true))),
    lossOnly: await runtime.compile(program('lossOnly', lossOutputs(c, basis, false))),
    recompute: again,
    all,
  };
}
