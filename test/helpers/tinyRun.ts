// What the tests on a tiny model share: it is loaded the way a user's model is, and its adapter is handed to the
// reference in the reference's own terms.
import { createRng, type Rng } from '../../src/base/index.ts';
import type { Runtime } from '../../src/engine/index.ts';
import { createRuntime } from '../../src/engine/node.ts';
import { type LoraConfig, type LoraLayout, loraLayout, moduleNames } from '../../src/models/index.ts';
import { openCheckpoint } from '../../src/models/node.ts';
import type { Precision } from '../../src/quant/index.ts';
import { dropoutMask, loadModel, type PassOptions, type ResidentModel, TrainingPass } from '../../src/runner/index.ts';
import type { ReferenceLora } from './referenceLlama.ts';
import { type TinyModel, temporaryFolder, type WriteOptions, writeTinyModel } from './tinyModel.ts';

/** One thread: at this size more only wait for each other. */
export const startRuntime = (): Promise<Runtime> => createRuntime({ threads: 1 });

export interface LoadTinyOptions extends WriteOptions {
  precision?: Precision;
  training?: boolean;
  oneCopy?: boolean;
  positions?: number;
  packTokens?: number;
}

/** Writes the model to a temporary folder and loads it from there. */
export async function loadTiny(runtime: Runtime, model: TinyModel, options: LoadTinyOptions = {}) {
  const folder = temporaryFolder();
  const { precision = 'fp32', training = true, shards, ...rest } = options;
  try {
    const checkpoint = await openCheckpoint(writeTinyModel(folder.path, model, shards ? { shards } : {}));
    const { config, weights, tokenizer } = checkpoint;
    const resident = await loadModel({ runtime, config, weights, precision, training, ...rest });
    await weights.close();
    return { resident, config, tokenizer };
  } finally {
    folder.remove();
  }
}

export const allModules = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

/** A small adapter's settings. */
export const lora = (changes: Partial<LoraConfig> = {}): LoraConfig => ({
  r: 3,
  alpha: 6,
  dropout: 0,
  targetModules: allModules,
  useRslora: false,
  ...changes,
});

/** An adapter in the middle of its training: no tensor is zero, and all of them matter. */
export function randomParams(layout: LoraLayout, seed = 5): Float32Array {
  const rng = createRng(seed);
  const params = new Float32Array(layout.size);
  for (const t of layout.tensors) {
    const spread = t.kind === 'A' ? 1 / Math.sqrt(t.shape[1]) : 0.3;
    for (let i = 0; i < t.shape[0] * t.shape[1]; i++) params[t.offset + i] = spread * (2 * rng.uniform() - 1);
  }
  return params;
}

/** The adapter for the reference; `params` may be float64, for differences. */
export function referenceLora(layout: LoraLayout, params: ArrayLike<number>, masks?: ReferenceLora['mask']) {
  const { r, alpha, useRslora } = layout.config;
  const values = Float64Array.from(params);
  const slice = (layer: number, module: string, kind: 'A' | 'B') => {
    const t = layout.tensors.find((x) => x.layer === layer && x.module === module && x.kind === kind);
    return t && values.subarray(t.offset, t.offset + t.shape[0] * t.shape[1]);
  };
  const reference: ReferenceLora = {
    scale: useRslora ? alpha / Math.sqrt(r) : alpha / r,
    at(layer, module) {
      const [a, b] = [slice(layer, module, 'A'), slice(layer, module, 'B')];
      return a && b ? { r, a, b } : undefined;
    },
    ...(masks ? { mask: masks } : {}),
  };
  return reference;
}

/** The dropout masks that a training pass draws: layer by layer, one for each adapted module, in the model's order. */
export function drawnMasks(model: TinyModel, layout: LoraLayout, tokens: number, rng: Rng): ReferenceLora['mask'] {
  const { config: c } = model;
  const width = (module: string) => {
    if (module === 'o_proj') return c.num_attention_heads * c.head_dim;
    return module === 'down_proj' ? c.intermediate_size : c.hidden_size;
  };
  const masks = new Map<string, Float32Array>();
  for (let layer = 0; layer < c.num_hidden_layers; layer++) {
    for (const module of moduleNames.filter((m) => layout.config.targetModules.includes(m))) {
      masks.set(`${layer}.${module}`, dropoutMask(tokens * width(module), layout.config.dropout, rng));
    }
  }
  return (layer, module) => masks.get(`${layer}.${module}`);
}

export interface Sequence {
  ids: Int32Array;
  targets: Int32Array;
}

/** Random tokens; everything from `firstTarget` on is to be predicted. */
export function randomSequence(length: number, seed: number, firstTarget = 1, vocab = 300): Sequence {
  const rng = createRng(seed);
  const ids = Int32Array.from({ length }, () => rng.below(vocab));
  const targets = Int32Array.from(ids, (_, i) => (i + 1 >= firstTarget && i + 1 < length ? ids[i + 1]! : -1));
  return { ids, targets };
}

export const countTargets = (sequences: readonly Sequence[]) =>
  sequences.reduce((n, s) => n + s.targets.filter((t) => t >= 0).length, 0);

/** A pass with an adapter on it. */
export async function passWith(resident: ResidentModel, config: LoraConfig, seed = 5, options: PassOptions = {}) {
  const layout = loraLayout(resident.config, config);
  const params = randomParams(layout, seed);
  const pass = await TrainingPass.create(resident, layout, options);
  await pass.setParameters(params);
  return { layout, params, pass };
}

/** |a - b| / |b| of two vectors. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(difference / (size || 1));
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

export const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
