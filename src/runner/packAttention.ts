// Attention over a pack: its sequences in groups, and where in memory each group keeps what its backward needs.
import { elementCount, type View, view } from '../engine/index.ts';
import { resolveShape, type Shape } from '../graph/index.ts';
import { causalIndices, type PackInput } from './packInput.ts';
import type { CompiledPair } from './programs.ts';
import type { ResidentModel } from './residentModel.ts';
import { groupSizes } from './trainingPrograms.ts';
import { rows } from './workspace.ts';

export interface AttentionGroup {
  /** Number of sequences, which names the program. */
  size: number;
  segments: PackInput['segments'];
}

export function attentionGroups(segments: PackInput['segments']): AttentionGroup[] {
  const groups: AttentionGroup[] = [];
  let at = 0;
  while (at < segments.length) {
    const size = groupSizes.find((s) => s <= segments.length - at)!;
    groups.push({ size, segments: segments.slice(at, at + size) });
    at += size;
  }
  return groups;
}

/** The rows of each sequence under the names of a group's program: q -> q0, q1, ... */
export function groupRows(group: AttentionGroup, views: Readonly<Record<string, View>>): Record<string, View> {
  const bound: Record<string, View> = {};
  group.segments.forEach(({ start, length }, i) => {
    for (const [name, v] of Object.entries(views)) bound[`${name}${i}`] = rows(v, start, length);
  });
  return bound;
}

export function groupIndices(model: ResidentModel, group: AttentionGroup): Record<string, View> {
  const bound: Record<string, View> = {};
  group.segments.forEach(({ length }, i) => {
    const { queryIndex, keyIndex } = causalIndices(model, length);
    bound[`queryIndex${i}`] = queryIndex;
    bound[`keyIndex${i}`] = keyIndex;
  });
  return bound;
}

const sizesOf = (group: AttentionGroup) =>
  Object.fromEntries(group.segments.flatMap(({ length }, i) => [`queries${i}`, `keys${i}`].map((s) => [s, length])));

/** Lays the saved values of all groups one after the other: the elements needed, and the views once there is a buffer. */
export function planSaved(groups: readonly AttentionGroup[], pairs: ReadonlyMap<number, CompiledPair>) {
  let size = 0;
  const places = groups.map((group) => {
    const sizes = sizesOf(group);
    return [...pairs.get(group.size)!.saved].map(([name, shape]: [string, Shape]) => {
      const dims = resolveShape(shape, sizes);
      const place = { name, dims, offset: size };
      size += elementCount(dims);
      return place;
    });
  });
  const views = (whole: View): Record<string, View>[] =>
    places.map((group) => Object.fromEntries(group.map((p) => [p.name, view(whole.buffer, p.dims, p.offset)])));
  return { size, views };
}
