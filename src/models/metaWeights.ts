// Weights of Meta's own checkpoints as the rest of the program wants them: joined, under their roles, rotary rows in halves.
import { HuacayaError } from '../base/index.ts';
import type { LlamaConfig } from './config.ts';
import type { ModuleName } from './llama.ts';
import { type JoinedTensor, joinShards, type MetaWidths, readJoined } from './metaShards.ts';
import { halvesFromPairs } from './rotaryRows.ts';
import {
  allRoles,
  checkPlainTensor,
  effectiveRole,
  expectedShape,
  type TensorReader,
  type WeightRole,
  type WeightSource,
} from './weights.ts';

const moduleName: Record<ModuleName, string> = {
  q_proj: 'attention.wq',
  k_proj: 'attention.wk',
  v_proj: 'attention.wv',
  o_proj: 'attention.wo',
  gate_proj: 'feed_forward.w1',
  up_proj: 'feed_forward.w3',
  down_proj: 'feed_forward.w2',
};

function metaName(role: WeightRole): string {
  switch (role.kind) {
    case 'embedding':
      return 'tok_embeddings.weight';
    case 'finalNorm':
      return 'norm.weight';
    case 'head':
      return 'output.weight';
    case 'attentionNorm':
      return `layers.${role.layer}.attention_norm.weight`;
    case 'mlpNorm':
      return `layers.${role.layer}.ffn_norm.weight`;
    case 'projection':
      return `layers.${role.layer}.${moduleName[role.module]}.weight`;
    default:
      // Meta's models are LLaMA without any traits.
      throw new Error(`internal: Meta's checkpoints have no ${role.kind}`);
  }
}

export interface MetaTensors {
  /** Name, shapes and types as of one file that holds everything. */
  joined: ReadonlyMap<string, JoinedTensor & { dtype: string }>;
  /** @throws HuacayaError MISSING_TENSOR, WRONG_SHAPE, UNSUPPORTED_QUANTISATION. */
  weights(c: LlamaConfig): WeightSource;
}

/**
 * @param name for messages. @param shards consolidated.00.pth and so on, in this order; closed with the weights.
 * @throws HuacayaError SHARDS_DISAGREE, MISSING_TENSOR, MISSING_SHARD.
 */
export function joinMeta(name: string, shards: readonly TensorReader[], widths: MetaWidths): MetaTensors {
  const first = shards[0]!.tensors;
  const joined = new Map(
    [...joinShards(shards, widths)].map(([key, tensor]) => [key, { ...tensor, dtype: first.get(key)!.dtype }]),
  );
  const close = async () => {
    await Promise.all(shards.map((shard) => shard.close()));
  };
  const read = (tensor: string, rows: readonly [number, number]) => readJoined(shards, joined.get(tensor)!, rows);
  return {
    joined,
    weights(c) {
      const view: TensorReader = { name, tensors: joined, readFloat32: async () => new Float32Array(), close };
      for (const role of allRoles(c)) checkPlainTensor(view, c, role, metaName(role));
      return {
        async read(asked, range) {
          const role = effectiveRole(c, asked);
          const tensor = metaName(role);
          const [rows, width = 1] = expectedShape(c, role) as [number, number?];
          const [from, to] = range ?? [0, rows];
          if (!(from >= 0 && from <= to && to <= rows)) {
            throw new HuacayaError('ROW_RANGE', `${name}: ${tensor} has ${rows} rows; asked for rows ${from} to ${to}`);
          }
          const rotary = role.kind === 'projection' && (role.module === 'q_proj' || role.module === 'k_proj');
          if (!rotary) return read(tensor, [from, to]);
          return halvesFromPairs((a, b) => read(tensor, [a, b]), { headDim: c.headDim, width }, [from, to]);
        },
        ropeFactors: async () => undefined,
        close,
      };
    },
  };
}
