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

const ggufModule: Record<ModuleName, string> = {
  q_proj: 'attn_q',
  k_proj: 'attn_k',
  v_proj: 'attn_v',
  o_proj: 'attn_output',
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
};

const ggufName = (role: WeightRole): string => {
  switch (role.kind) {
    case 'embedding':
      return 'token_embd.weight';
    case 'finalNorm':
      return 'output_norm.weight';
    case 'head':
      return 'output.weight';
    case 'attentionNorm':
      return `blk.${role.layer}.attn_norm.weight`;
    case 'mlpNorm':
      return `blk.${role.layer}.ffn_norm.weight`;
    case 'postAttentionNorm':
      return `blk.${role.layer}.post_attention_norm.weight`;
    case 'postMlpNorm':
      return `blk.${role.layer}.post_ffw_norm.weight`;
    case 'queryNorm':
    case 'keyNorm':
      return `blk.${role.layer}.attn_${role.kind === 'queryNorm' ? 'q' : 'k'}_norm.weight`;
    case 'bias':
      return `blk.${role.layer}.${ggufModule[role.module]}.bias`;
    case 'projection':
      return `blk.${role.layer}.${ggufModule[role.module]}.weight`;
  }
};

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

/** Where a role lies: a tensor, and the first of its rows where it shares the tensor with others. */
function placeOf(c: LlamaConfig, role: WeightRole): { name: string; first: number; rows?: number } {
  const own = { name: huggingFaceName(role, c), first: 0 };
  if (!c.fused || role.kind !== 'projection') return own;
  const together = fusedModules.find((modules) => modules.includes(role.module));
  if (!together) return own;
  const sizes = together.map((m) => moduleShape(c, m).out);
  const first = sizes.slice(0, together.indexOf(role.module)).reduce((a, b) => a + b, 0);
  const block = together[0] === 'q_proj' ? 'self_attn.qkv_proj' : 'mlp.gate_up_proj';
  return { name: `model.layers.${role.layer}.${block}.weight`, first, rows: sizes.reduce((a, b) => a + b, 0) };
}

const fusedModules: readonly (readonly ModuleName[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['gate_proj', 'up_proj'],
];

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
      return c.normOffset && isNorm(role) ? values.map((w) => w + 1) : values;
    },
    ropeFactors: async () => undefined,
    close: () => file.close(),
  };
}

/** With a tied head, the head is the embedding. */
export const effectiveRole = (c: LlamaConfig, role: WeightRole): WeightRole =>
  role.kind === 'head' && c.tiedHead ? { kind: 'embedding' } : role;

/**
 * Weights of a GGUF file. llama.cpp's converter stores each head's q and k rows as interleaved pairs
 * (0, half, 1, half + 1, ...); reading puts them back into halves.
 * @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE.
 */
export function ggufWeights(file: TensorReader, c: LlamaConfig): WeightSource {
  for (const role of allRoles(c)) checkTensor(file, c, role, ggufName(role));
  return {
    async read(role, rows) {
      const name = ggufName(effectiveRole(c, role));
      if (role.kind !== 'projection' || (role.module !== 'q_proj' && role.module !== 'k_proj')) {
        return file.readFloat32(name, rows?.[0], rows?.[1]);
      }
      const whole = await file.readFloat32(name);
      const [out, width] = expectedShape(c, role) as [number, number];
      const halves = new Float32Array(whole.length);
      const half = c.headDim / 2;
      for (let row = 0; row < out; row++) {
        const head = Math.floor(row / c.headDim);
        const inHead = row % c.headDim;
        const from = head * c.headDim + (inHead % half) * 2 + Math.floor(inHead / half);
        halves.set(whole.subarray(from * width, (from + 1) * width), row * width);
      }
      return rows ? halves.subarray(rows[0] * width, rows[1] * width) : halves;
    },
    ropeFactors: async () =>
      file.tensors.has('rope_freqs.weight') ? file.readFloat32('rope_freqs.weight') : undefined,
    close: () => file.close(),
  };
}
