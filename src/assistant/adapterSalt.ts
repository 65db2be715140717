// Tells adapters apart by what they do to a model.
import { createHash } from 'node:crypto';
import type { Adapter } from '../models/index.ts';

/** Equal only for adapters that change the same matrices by the same numbers, at the same scale. */
export function adapterSalt({ layout, params }: Pick<Adapter, 'layout' | 'params'>, scale = 1): string {
  const { r, alpha, useRslora } = layout.config;
  const tensors = layout.tensors.map((t) => [t.layer, t.module, t.kind, ...t.shape, t.offset]);
  const hash = createHash('sha256').update(JSON.stringify({ r, alpha, useRslora, scale, tensors }));
  return hash.update(new Uint8Array(params.buffer, params.byteOffset, params.byteLength)).digest('hex');
}
