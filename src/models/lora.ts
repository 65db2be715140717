// LoRA (Hu et al. 2021): y = W x + (alpha / r) B A x with A [r, in], B [out, r]. This file knows which tensors an
// adapter has, how they start, and how they are named on disk (PEFT). All of them live in one flat float32 vector.
import { createRng, usageError } from '../base/index.ts';
import type { LlamaConfig } from './config.ts';
import { type ModuleName, moduleNames, moduleShape, modules } from './llama.ts';

export interface LoraConfig {
  /** Rank. */
  r: number;
  alpha: number;
  /** Probability with which an element of an adapter's input is dropped while training. */
  dropout: number;
  targetModules: readonly ModuleName[];
  /** Scale by alpha / sqrt(r) (Kalajdzievski 2023) instead of alpha / r. */
  useRslora: boolean;
}

export interface LoraTensor {
  layer: number;
  module: ModuleName;
  kind: 'A' | 'B';
  /** A: [r, in], B: [out, r]. */
  shape: readonly [number, number];
  /** First element in the flat vector. */
  offset: number;
}

export interface LoraLayout {
  config: LoraConfig;
  tensors: readonly LoraTensor[];
  /** Length of the flat vector: the number of trainable parameters. */
  size: number;
  /** Of `LlamaConfig`: PEFT finds the layers under `language_model`. */
  textPart?: true;
  find(layer: number, module: ModuleName, kind: 'A' | 'B'): LoraTensor | undefined;
}

export const loraScale = (c: LoraConfig) => c.alpha / (c.useRslora ? Math.sqrt(c.r) : c.r);

/** @throws HuacayaError USAGE for an unknown module, r < 1, or a dropout outside [0, 1). */
export function checkLoraConfig(c: LoraConfig): LoraConfig {
  if (!Number.isInteger(c.r) || c.r < 1) throw usageError(`lora_r is ${c.r}; the rank is a whole number of at least 1`);
  if (!(c.alpha > 0)) throw usageError(`lora_alpha is ${c.alpha}; it must be above 0`);
  if (!(c.dropout >= 0 && c.dropout < 1)) throw usageError(`lora_dropout is ${c.dropout}; it must be in [0, 1)`);
  if (c.targetModules.length === 0) throw usageError('no target module is named', `Known: ${moduleNames.join(', ')}.`);
  for (const m of c.targetModules) {
    if (!moduleNames.includes(m)) {
      throw usageError(`unknown target module "${m}"`, `Known: ${moduleNames.join(', ')}, or all-linear.`);
    }
  }
  return c;
}

/** The tensors of an adapter, layer by layer, in the model's order of modules. */
export function loraLayout(model: LlamaConfig, config: LoraConfig): LoraLayout {
  checkLoraConfig(config);
  const tensors: LoraTensor[] = [];
  const index = new Map<string, LoraTensor>();
  let size = 0;
  for (let layer = 0; layer < model.layers; layer++) {
    for (const module of moduleNames) {
      if (!config.targetModules.includes(module)) continue;
      const shape = moduleShape(model, module);
      for (const kind of ['A', 'B'] as const) {
        const dims = kind === 'A' ? ([config.r, shape.in] as const) : ([shape.out, config.r] as const);
        const tensor: LoraTensor = { layer, module, kind, shape: dims, offset: size };
        tensors.push(tensor);
        index.set(`${layer}.${module}.${kind}`, tensor);
        size += dims[0] * dims[1];
      }
    }
  }
  return {
    config,
    tensors,
    size,
    ...(model.textPart ? { textPart: true as const } : {}),
    find: (layer, module, kind) => index.get(`${layer}.${module}.${kind}`),
  };
}

/**
 * A fresh adapter that changes nothing: A uniform in +-1/sqrt(in) (Kaiming with a = sqrt(5), as PEFT), B zero.
 * Every tensor has its own random stream: adding a target module leaves the others as they were.
 */
export function initLora(layout: LoraLayout, seed: number): Float32Array {
  const params = new Float32Array(layout.size);
  const rng = createRng(seed);
  for (const t of layout.tensors) {
    if (t.kind === 'B') continue;
    const stream = rng.fork(loraTensorName(t));
    const bound = 1 / Math.sqrt(t.shape[1]);
    for (let i = 0; i < t.shape[0] * t.shape[1]; i++) params[t.offset + i] = (2 * stream.uniform() - 1) * bound;
  }
  return params;
}

/** Whether an adapter has any effect: with every B at zero, as it starts, it has none. */
export function hasEffect(layout: LoraLayout, params: Float32Array): boolean {
  return layout.tensors.some(
    (t) => t.kind === 'B' && params.subarray(t.offset, t.offset + t.shape[0] * t.shape[1]).some((p) => p !== 0),
  );
}

/** Key of a tensor in adapter_model.safetensors. */
export function loraTensorName(t: Pick<LoraTensor, 'layer' | 'module' | 'kind'>): string {
  return `base_model.model.model.layers.${t.layer}.${modules[t.module]}.${t.module}.lora_${t.kind}.weight`;
}
