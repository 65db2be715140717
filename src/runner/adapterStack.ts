// Several adapters on the device at once: in each group of projections their A side by side and their B one below the other.
// A sequence uses one of them through its mix: a factor for each of those columns.
import { type Runtime, type View, view } from '../engine/index.ts';
import { type Adapter, type LlamaConfig, loraScale, moduleShape } from '../models/index.ts';
import { type Group, groupNames, groupShape, groups } from './decodeBody.ts';

type AdapterTensors = Pick<Adapter, 'layout' | 'params'>;

/** What a sequence wants of the adapters: nothing, or one of them times a factor. */
export interface AdapterUse {
  name: string;
  /** On top of the adapter's own lora_alpha / r. */
  scale: number;
}

export interface AdapterStack {
  /** Groups that any adapter changes. */
  groups: ReadonlySet<Group>;
  /** '<layer>.<group>.A' and '.B'. */
  views: Readonly<Record<string, View>>;
  /** 'mix.<group>' for a batch of sequences, [batch * rank]. */
  mix(uses: readonly (AdapterUse | undefined)[]): Map<Group, { rank: number; data: Float32Array }>;
  free(): void;
}

interface Columns {
  /** First column of an adapter, by its name, and how many it has. */
  of: Map<string, { first: number; count: number; scale: number }>;
  rank: number;
}

/** Puts adapters on the device; `free` takes them off again. */
export function stackAdapters(
  runtime: Runtime,
  c: LlamaConfig,
  adapters: ReadonlyMap<string, AdapterTensors>,
): AdapterStack {
  const columns = new Map<Group, Columns>();
  const views: Record<string, View> = {};
  for (const group of groupNames) {
    const of: Columns['of'] = new Map();
    let rank = 0;
    for (const [name, { layout }] of adapters) {
      const ranks = groups[group].map((m) => layout.find(0, m, 'A')?.shape[0] ?? 0);
      const count = ranks.reduce((a, b) => a + b, 0);
      if (count > 0) of.set(name, { first: rank, count, scale: loraScale(layout.config) });
      rank += count;
    }
    if (rank === 0) continue;
    columns.set(group, { of, rank });
    const { out, in: width } = groupShape(c, group);
    for (let layer = 0; layer < c.layers; layer++) {
      const a = new Float32Array(width * rank);
      const b = new Float32Array(rank * out);
      for (const [name, { layout, params }] of adapters) {
        let column = of.get(name)?.first ?? 0;
        let row = 0;
        for (const module of groups[group]) {
          const [partA, partB] = [layout.find(layer, module, 'A'), layout.find(layer, module, 'B')];
          const { out: own } = moduleShape(c, module);
          if (partA && partB) {
            const r = partA.shape[0];
            for (let i = 0; i < r; i++) {
              for (let k = 0; k < width; k++) a[k * rank + column + i] = params[partA.offset + i * width + k]!;
              for (let o = 0; o < own; o++) b[(column + i) * out + row + o] = params[partB.offset + o * r + i]!;
            }
            column += r;
          }
          row += own;
        }
      }
      views[`${layer}.${group}.A`] = view(runtime.upload(a), [width, rank]);
      views[`${layer}.${group}.B`] = view(runtime.upload(b), [rank, out]);
    }
  }
  return {
    groups: new Set(columns.keys()),
    views,
    mix(uses) {
      const made = new Map<Group, { rank: number; data: Float32Array }>();
      for (const [group, { of, rank }] of columns) {
        const data = new Float32Array(uses.length * rank);
        for (const [i, use] of uses.entries()) {
          const at = use && of.get(use.name);
          if (at) data.fill(at.scale * use.scale, i * rank + at.first, i * rank + at.first + at.count);
        }
        made.set(group, { rank, data });
      }
      return made;
    },
    free() {
      for (const v of Object.values(views)) runtime.free(v.buffer);
    },
  };
}
