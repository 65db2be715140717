// The weights of a model by what they are, whatever the file calls them.
import { HuacayaError } from '../base/index.ts';
import type { Nf4Codes } from '../formats/index.ts';
import type { LlamaConfig } from './config.ts';
import { type ModuleName, moduleNames, moduleShape, modules } from './llama.ts';

export type WeightRole =
  | { kind: 'embedding' | 'finalNorm' | 'head' }
  | { kind: 'attentionNorm' | 'mlpNorm' | PostNormKind | HeadNormKind; layer: number }
  | { kind: 'bias'; layer: number; module: ModuleName }
  | { kind: 'projection'; layer: number; module: ModuleName };

/** Norms of what attention and the MLP add to the stream. */
export type PostNormKind = 'postAttentionNorm' | 'postMlpNorm';
/** Norms of each head's queries and keys. */
export type HeadNormKind = 'queryNorm' | 'keyNorm';

/** The modules that have a bias. */
export const biasedModules = (c: LlamaConfig): readonly ModuleName[] =>
  c.qkvBias ? ['q_proj', 'k_proj', 'v_proj'] : [];

/** The small vectors of a layer that LLaMA does not have. */
export const extraVectors = (c: LlamaConfig): readonly (PostNormKind | HeadNormKind)[] => [
  ...(c.qkNorm ? (['queryNorm', 'keyNorm'] as const) : []),
  ...(c.postNorms ? (['postAttentionNorm', 'postMlpNorm'] as const) : []),
];

/** Reads weights as float32, always in Hugging Face's layout: projections [out, in], q and k rows half-split. */
export interface WeightSource {
  /** @param rows only rows [first, last) of a matrix. */
  read(role: WeightRole, rows?: readonly [number, number]): Promise<Float32Array>;
  /** A matrix as it is stored, where that is NF4 with blocks of `nf4Block`. */
  readNf4?(role: WeightRole): Promise<Nf4Codes | undefined>;
  /** Divisors of the rotary frequencies, where the file carries them. */
  ropeFactors(): Promise<Float32Array | undefined>;
  close(): Promise<void>;
}

/** The part of a tensor file that weights are read from. */
export interface TensorReader {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, { shape: readonly number[]; dtype: string }>;
  readFloat32(name: string, rowStart?: number, rowEnd?: number): Promise<Float32Array>;
  close(): Promise<void>;
}

export function expectedShape(c: LlamaConfig, role: WeightRole): number[] {
  switch (role.kind) {
    case 'embedding':
    case 'head':
      return [c.vocabSize, c.hiddenSize];
    case 'projection': {
      const s = moduleShape(c, role.module);
      return [s.out, s.in];
    }
    case 'bias':
      return [moduleShape(c, role.module).out];
    case 'queryNorm':
    case 'keyNorm':
      return [c.headDim];
    default:
      return [c.hiddenSize];
  }
}

export function huggingFaceName(role: WeightRole, c?: LlamaConfig): string {
  if (!('layer' in role)) {
    if (role.kind === 'embedding') return 'model.embed_tokens.weight';
    return role.kind === 'head' ? 'lm_head.weight' : 'model.norm.weight';
  }
  const layer = `model.layers.${role.layer}`;
  switch (role.kind) {
    case 'attentionNorm':
      return `${layer}.input_layernorm.weight`;
    case 'mlpNorm':
      return `${layer}.${c?.postNorms ? 'pre_feedforward' : 'post_attention'}_layernorm.weight`;
    case 'postAttentionNorm':
      return `${layer}.post_attention_layernorm.weight`;
    case 'postMlpNorm':
      return `${layer}.post_feedforward_layernorm.weight`;
    case 'queryNorm':
    case 'keyNorm':
      return `${layer}.self_attn.${role.kind === 'queryNorm' ? 'q' : 'k'}_norm.weight`;
    case 'bias':
      return `${layer}.${modules[role.module]}.${role.module}.bias`;
    case 'projection':
      return `${layer}.${modules[role.module]}.${role.module}.weight`;
  }
}

/** @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE. */
export function checkTensor(file: TensorReader, c: LlamaConfig, role: WeightRole, name: string, rows?: number): void {
  const found = file.tensors.get(name);
  if (!found) {
    throw new HuacayaError('MISSING_TENSOR', `${file.name}: has no tensor ${name}`, {
      hint: 'The checkpoint is incomplete: download it again.',
    });
  }
  checkShape(file, c, role, name, found.shape, rows);
}

export function checkShape(
  file: TensorReader,
  c: LlamaConfig,
  role: WeightRole,
  name: string,
  shape: readonly number[],
  rows?: number,
): void {
  const own = expectedShape(c, role);
  const expected = rows === undefined ? own : [rows, ...own.slice(1)];
  if (shape.join() !== expected.join()) {
    throw new HuacayaError(
      'WRONG_SHAPE',
      `${file.name}: ${name} has shape [${shape.join(', ')}], the configuration asks for [${expected.join(', ')}]`,
      { hint: 'Configuration and weights belong to different models.' },
    );
  }
}

/** Every weight of a model, to check a checkpoint before anything is loaded. */
export function* allRoles(c: LlamaConfig): Generator<WeightRole> {
  yield { kind: 'embedding' };
  for (let layer = 0; layer < c.layers; layer++) {
    yield { kind: 'attentionNorm', layer };
    yield { kind: 'mlpNorm', layer };
    for (const kind of extraVectors(c)) yield { kind, layer };
    for (const module of biasedModules(c)) yield { kind: 'bias', layer, module };
    for (const module of moduleNames) yield { kind: 'projection', layer, module };
  }
  yield { kind: 'finalNorm' };
  if (!c.tiedHead) yield { kind: 'head' };
}

const plainTypes = ['F32', 'F16', 'BF16', 'F64'];

/** A plain matrix or vector; codes of some quantisation would otherwise be read as if they were the weights. */
export function checkPlainTensor(
  file: TensorReader,
  c: LlamaConfig,
  role: WeightRole,
  name: string,
  rows?: number,
): void {
  const dtype = file.tensors.get(name)?.dtype;
  if (dtype !== undefined && !plainTypes.includes(dtype)) {
    throw new HuacayaError(
      'UNSUPPORTED_QUANTISATION',
      `${file.name}: ${name} holds ${dtype} numbers, and nothing beside it that this version knows says what they mean`,
      { hint: quantisationHint },
    );
  }
  checkTensor(file, c, role, name, rows);
}

export const quantisationHint =
  'Use the model that it was made from, a GGUF file of it, or a bitsandbytes checkpoint (NF4, FP4 or int8).';

/**
 * Where a module's rows lie in the tensor that it shares with others: from `first` on, in a tensor of `rows` rows.
 * Undefined: it has a tensor of its own.
 */
export function fusedRows(
  c: LlamaConfig,
  role: WeightRole,
): { block: 'qkv' | 'gateUp'; first: number; rows: number } | undefined {
  if (!c.fused || role.kind !== 'projection') return undefined;
  const together = fusedModules.find((modules) => modules.includes(role.module));
  if (!together) return undefined;
  const sizes = together.map((m) => moduleShape(c, m).out);
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const first = sum(sizes.slice(0, together.indexOf(role.module)));
  return { block: together[0] === 'q_proj' ? 'qkv' : 'gateUp', first, rows: sum(sizes) };
}

const fusedModules: readonly (readonly ModuleName[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['gate_proj', 'up_proj'],
];

/** Where a role lies: a tensor, and the first of its rows where it shares the tensor with others. */
function placeOf(c: LlamaConfig, role: WeightRole): { name: string; first: number; rows?: number } {
  const shared = fusedRows(c, role);
  if (!shared || role.kind !== 'projection') return { name: huggingFaceName(role, c), first: 0 };
  const block = shared.block === 'qkv' ? 'self_attn.qkv_proj' : 'mlp.gate_up_proj';
  return { name: `model.layers.${role.layer}.${block}.weight`, first: shared.first, rows: shared.rows };
}

const isNorm = (role: WeightRole) => role.kind.endsWith('Norm');

/**
 * Weights of a safetensors checkpoint in Hugging Face's naming.
 * @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE, UNSUPPORTED_QUANTISATION: all names and shapes are checked here, before any is read.
 */
export function huggingFaceWeights(file: TensorReader, c: LlamaConfig): WeightSource {
  for (const role of allRoles(c)) {
    const { name, rows } = placeOf(c, role);
    checkPlainTensor(file, c, role, name, rows);
  }
  return {
    async read(role, rows) {
      const { name, first, rows: shared } = placeOf(c, effectiveRole(c, role));
      if (shared !== undefined) {
        const [from, to] = rows ?? [0, expectedShape(c, role)[0]!];
        return file.readFloat32(name, first + from, first + to);
      }
      const values = await file.readFloat32(name, rows?.[0], rows?.[1]);
      return withNormOffset(c, role, values);
    },
    ropeFactors: async () => undefined,
    close: () => file.close(),
  };
}

/** Gemma's files of Hugging Face hold the weights of norms less one. */
export const withNormOffset = (c: LlamaConfig, role: WeightRole, values: Float32Array): Float32Array =>
  c.normOffset && isNorm(role) ? values.map((w) => w + 1) : values;

/** With a tied head, the head is the embedding. */
export const effectiveRole = (c: LlamaConfig, role: WeightRole): WeightRole =>
  role.kind === 'head' && c.tiedHead ? { kind: 'embedding' } : role;
