// Weights of a GGUF file under their roles. Names are those of llama.cpp; norms of Gemma have their 1 added already.
import type { LlamaConfig } from './config.ts';
import type { ModuleName } from './llama.ts';
import { halvesFromPairs } from './rotaryRows.ts';
import {
  allRoles,
  checkTensor,
  effectiveRole,
  expectedShape,
  fusedRows,
  type TensorReader,
  type WeightRole,
  type WeightSource,
} from './weights.ts';

const moduleName: Record<ModuleName, string> = {
  q_proj: 'attn_q',
  k_proj: 'attn_k',
  v_proj: 'attn_v',
  o_proj: 'attn_output',
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
};

function ggufName(role: WeightRole): string {
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
      return `blk.${role.layer}.${moduleName[role.module]}.bias`;
    case 'projection':
      return `blk.${role.layer}.${moduleName[role.module]}.weight`;
  }
}

/** Where a role lies: a tensor, and the first of its rows where it shares the tensor with others, which has `rows` then. */
function placeOf(file: TensorReader, c: LlamaConfig, role: WeightRole): { name: string; first: number; rows?: number } {
  const name = ggufName(role);
  const shared = fusedRows(c, role);
  if (!shared || role.kind !== 'projection') return { name, first: 0 };
  const together = `blk.${role.layer}.${shared.block === 'qkv' ? 'attn_qkv' : 'ffn_up'}.weight`;
  // Converters of some programs keep them apart.
  const apart =
    shared.block === 'qkv' ? !file.tensors.has(together) : file.tensors.has(`blk.${role.layer}.ffn_gate.weight`);
  return apart ? { name, first: 0 } : { name: together, first: shared.first, rows: shared.rows };
}

/** @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE: all names and shapes are checked here, before any is read. */
export function ggufWeights(file: TensorReader, c: LlamaConfig): WeightSource {
  for (const role of allRoles(c)) {
    const { name, rows } = placeOf(file, c, role);
    checkTensor(file, c, role, name, rows);
  }
  // llama.cpp turns neighbours as pairs in LLaMA's models only, and its converter has laid their rows out for that.
  const pairs = c.architecture === undefined;
  return {
    async read(asked, range) {
      const role = effectiveRole(c, asked);
      const { name, first } = placeOf(file, c, role);
      const [rows, width] = expectedShape(c, role) as [number, number?];
      // A vector is read whole.
      if (width === undefined) return file.readFloat32(name);
      const read = (from: number, to: number) => file.readFloat32(name, first + from, first + to);
      const [from, to] = range ?? [0, rows];
      const rotary = pairs && role.kind === 'projection' && (role.module === 'q_proj' || role.module === 'k_proj');
      return rotary ? halvesFromPairs(read, { headDim: c.headDim, width }, [from, to]) : read(from, to);
    },
    ropeFactors: async () =>
      file.tensors.has('rope_freqs.weight') ? file.readFloat32('rope_freqs.weight') : undefined,
    close: () => file.close(),
  };
}
