// A model with an adapter worked into it: W + (alpha / r) B A wherever it is read.
import { createBreather } from '../base/index.ts';
import {
  type Adapter,
  type LlamaConfig,
  loraScale,
  moduleShape,
  type WeightRole,
  type WeightSource,
} from '../models/index.ts';

/** Multiplications before the event loop gets its turn: a few milliseconds. */
const chunkProducts = 1 << 22;

/**
 * The weights with an adapter in them. Closing it closes `weights`.
 * @param scale on top of the adapter's own lora_alpha / r.
 */
export function mergedWeights(
  weights: WeightSource,
  c: LlamaConfig,
  { layout, params }: Pick<Adapter, 'layout' | 'params'>,
  scale = 1,
): WeightSource {
  const factor = loraScale(layout.config) * scale;

  const partsOf = (role: WeightRole) => {
    if (role.kind !== 'projection') return undefined;
    const [a, b] = [layout.find(role.layer, role.module, 'A'), layout.find(role.layer, role.module, 'B')];
    return a && b && { a, b, rank: a.shape[0], ...moduleShape(c, role.module) };
  };

  return {
    ...weights,
    async read(role, rows) {
      const plain = await weights.read(role, rows);
      const parts = partsOf(role);
      if (!parts) return plain;
      const { a, b, rank, in: width } = parts;
      const [first, last] = rows ?? [0, parts.out];
      const merged = new Float32Array(plain.length);
      const delta = new Float64Array(width);
      const breathe = createBreather();
      const breathEvery = Math.ceil(chunkProducts / (width * rank));
      for (let row = first; row < last; row++) {
        delta.fill(0);
        for (let k = 0; k < rank; k++) {
          const weight = factor * params[b.offset + row * rank + k]!;
          const from = a.offset + k * width;
          for (let i = 0; i < width; i++) delta[i]! += weight * params[from + i]!;
        }
        const at = (row - first) * width;
        for (let i = 0; i < width; i++) merged[at + i] = plain[at + i]! + delta[i]!;
        if ((row - first) % breathEvery === 0) await breathe();
      }
      return merged;
    },
    // What was changed is in no codes any more.
    readNf4: async (role) => (partsOf(role) ? undefined : weights.readNf4?.(role)),
  };
}
