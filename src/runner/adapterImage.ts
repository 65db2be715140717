// An adapter as programs want it: A and B of each module, the scale folded into B, in the basis of the precision.
// Gradients come back through the transpose of the same linear map.
import { createBreather } from '../base/index.ts';
import { type LoraLayout, type LoraTensor, loraScale, type ModuleName, moduleNames } from '../models/index.ts';
import { type Basis, rotateColumns, rotateRows } from '../quant/index.ts';
import type { ModuleRanks } from './projections.ts';

export interface AdapterImage {
  layout: LoraLayout;
  /** The same in every layer: an adapter covers all of them. */
  ranks: ModuleRanks;
  /** Trainable tensors to what is sent to the device; both are flat vectors in the order of `layout`. */
  fromParameters(params: Float32Array): Promise<Float32Array>;
  /** Gradient of the device's vector to the gradient of the trainable tensors. */
  toGradients(image: Float32Array): Promise<Float32Array>;
}

/** Per layer: weights of the norms that are folded into modules. */
export type FoldedNorms = readonly Readonly<Partial<Record<ModuleName, Float32Array>>>[];

function scaleColumns(m: Float32Array, width: number, by: Float32Array | undefined): void {
  if (by) for (let i = 0; i < m.length; i++) m[i]! *= by[i % width]!;
}

export function adapterImage(basis: Basis, layout: LoraLayout, norms: FoldedNorms): AdapterImage {
  const scale = loraScale(layout.config);
  const part = (vector: Float32Array, t: LoraTensor) => vector.subarray(t.offset, t.offset + t.shape[0] * t.shape[1]);

  /** y = B A x with x = R diag(norm) x' and y' = R y: A' = A diag(norm) R, B' = scale R B, each R its own transpose. */
  const turnB = (b: Float32Array, t: LoraTensor) => {
    rotateColumns(b, t.shape[0], t.shape[1], basis.modules[t.module].output);
    for (let i = 0; i < b.length; i++) b[i]! *= scale;
  };
  const map = async (vector: Float32Array, turnA: (a: Float32Array, t: LoraTensor) => void) => {
    const made = vector.slice(0, layout.size);
    const breathe = createBreather();
    for (const t of layout.tensors) {
      if (t.kind === 'A') turnA(part(made, t), t);
      else turnB(part(made, t), t);
      await breathe();
    }
    return made;
  };

  return {
    layout,
    ranks: Object.fromEntries(
      moduleNames.map((m) => [m, layout.find(0, m, 'A')?.shape[0] ?? 0]),
    ) as unknown as ModuleRanks,
    fromParameters: (params) =>
      map(params, (a, t) => {
        scaleColumns(a, t.shape[1], norms[t.layer]?.[t.module]);
        rotateRows(a, t.shape[0], t.shape[1], basis.modules[t.module].input);
      }),
    toGradients: (image) =>
      map(image, (a, t) => {
        rotateRows(a, t.shape[0], t.shape[1], basis.modules[t.module].input);
        scaleColumns(a, t.shape[1], norms[t.layer]?.[t.module]);
      }),
  };
}
