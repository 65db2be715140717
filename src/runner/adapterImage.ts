// An adapter as programs want it: per site one A [rank, in] and one block-diagonal B [out, rank] over all its adapted
// modules, scale folded into B, in the basis of the precision. Gradients come back through the same linear map.
import { createBreather } from '../base/index.ts';
import {
  type LlamaConfig,
  type LoraLayout,
  type LoraTensor,
  loraScale,
  moduleShape,
  type SiteName,
  siteNames,
  siteShape,
  sites,
} from '../models/index.ts';
import { type Basis, type Rotation, rotateColumns, rotateRows } from '../quant/index.ts';

/** One adapted module inside a site's fused pair. */
interface Member {
  a: LoraTensor;
  b: LoraTensor;
  /** First of its rows in A and columns in B. */
  rankOffset: number;
  /** First of its rows in B. */
  outOffset: number;
  /** Rotation in which its output is expected. */
  outRotation: Rotation;
}

export interface SiteImage {
  layer: number;
  site: SiteName;
  /** Sum of the ranks of the adapted modules. */
  rank: number;
  shape: { out: number; in: number };
  aOffset: number;
  bOffset: number;
  members: readonly Member[];
}

export interface AdapterImage {
  layout: LoraLayout;
  /** Length of the device vector. */
  size: number;
  sites: readonly SiteImage[];
  at(layer: number, site: SiteName): SiteImage | undefined;
  /** Trainable tensors (PEFT's shapes, flat) to the device vector. */
  fromParameters(params: Float32Array): Promise<Float32Array>;
  /** Gradient of the device vector to the gradient of the trainable tensors. */
  toGradients(image: Float32Array): Promise<Float32Array>;
}

export type FoldedNorms = readonly Readonly<Partial<Record<SiteName, Float32Array>>>[];

export function adapterImage(c: LlamaConfig, basis: Basis, layout: LoraLayout, norms: FoldedNorms): AdapterImage {
  const images: SiteImage[] = [];
  let size = 0;
  for (let layer = 0; layer < c.layers; layer++) {
    for (const site of siteNames) {
      const members: Member[] = [];
      let rank = 0;
      let outOffset = 0;
      sites[site].modules.forEach((module, i) => {
        const a = layout.find(layer, module, 'A');
        const b = layout.find(layer, module, 'B');
        if (a && b) {
          members.push({ a, b, rankOffset: rank, outOffset, outRotation: basis.sites[site].outputs[i]! });
          rank += a.shape[0];
        }
        outOffset += moduleShape(c, module).out;
      });
      if (rank === 0) continue;
      const shape = siteShape(c, site);
      const aOffset = size;
      const bOffset = aOffset + rank * shape.in;
      size = bOffset + rank * shape.out;
      images.push({ layer, site, rank, shape, aOffset, bOffset, members });
    }
  }
  const index = new Map(images.map((s) => [`${s.layer}.${s.site}`, s]));
  const scale = loraScale(layout.config);

  const scaleColumns = (m: Float32Array, width: number, by: Float32Array | undefined) => {
    if (by) for (let i = 0; i < m.length; i++) m[i]! *= by[i % width]!;
  };

  return {
    layout,
    size,
    sites: images,
    at: (layer, site) => index.get(`${layer}.${site}`),

    async fromParameters(params) {
      const breathe = createBreather();
      const image = new Float32Array(size);
      for (const s of images) {
        const spec = basis.sites[s.site];
        await breathe();
        for (const m of s.members) {
          const r = m.a.shape[0];
          const a = params.slice(m.a.offset, m.a.offset + r * s.shape.in);
          scaleColumns(a, s.shape.in, norms[s.layer]?.[s.site]);
          rotateRows(a, r, s.shape.in, spec.input);
          image.set(a, s.aOffset + m.rankOffset * s.shape.in);
          const out = m.b.shape[0];
          const b = params.slice(m.b.offset, m.b.offset + out * r);
          rotateColumns(b, out, r, m.outRotation);
          for (let row = 0; row < out; row++) {
            const to = s.bOffset + (m.outOffset + row) * s.rank + m.rankOffset;
            for (let k = 0; k < r; k++) image[to + k] = scale * b[row * r + k]!;
          }
        }
      }
      return image;
    },

    async toGradients(image) {
      const breathe = createBreather();
      const grads = new Float32Array(layout.size);
      for (const s of images) {
        const spec = basis.sites[s.site];
        await breathe();
        for (const m of s.members) {
          const r = m.a.shape[0];
          const from = s.aOffset + m.rankOffset * s.shape.in;
          const a = image.slice(from, from + r * s.shape.in);
          rotateRows(a, r, s.shape.in, spec.input);
          scaleColumns(a, s.shape.in, norms[s.layer]?.[s.site]);
          grads.set(a, m.a.offset);
          const out = m.b.shape[0];
          const b = new Float32Array(out * r);
          for (let row = 0; row < out; row++) {
            const at = s.bOffset + (m.outOffset + row) * s.rank + m.rankOffset;
            for (let k = 0; k < r; k++) b[row * r + k] = scale * image[at + k]!;
          }
          rotateColumns(b, out, r, m.outRotation);
          grads.set(b, m.b.offset);
        }
      }
      return grads;
    },
  };
}
