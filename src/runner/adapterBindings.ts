// The views under which a layer's programs see an adapter's tensors.
import { type DeviceBuffer, type View, view } from '../engine/index.ts';
import { type LoraLayout, moduleNames } from '../models/index.ts';

/**
 * Views of a flat device vector in the order of `layout`: '<prefix>q_proj.A', '<prefix>q_proj.B', ...
 * @param prefix '' for parameters, 'grad.' for gradients.
 */
export function adapterBindings(
  layout: LoraLayout,
  buffer: DeviceBuffer,
  layer: number,
  prefix = '',
): Record<string, View> {
  const views: Record<string, View> = {};
  for (const module of moduleNames) {
    for (const kind of ['A', 'B'] as const) {
      const t = layout.find(layer, module, kind);
      if (t) views[`${prefix}${module}.${kind}`] = view(buffer, t.shape, t.offset);
    }
  }
  return views;
}
