// Attention over a pack: its segments in groups, and where in memory each group keeps what its backward needs.
import { elementCount, type View, view } from '../engine/index.ts';
import { resolveShape, type Shape } from '../graph/index.ts';
import type { Segment } from './packInput.ts';
import type { CompiledPair } from './programs.ts';
import { groupSizes } from './trainingPrograms.ts';
import { rows, type Workspace } from './workspace.ts';

export interface AttentionGroup {
  /** Number of segments, which names the program. */
  size: number;
  segments: readonly Segment[];
}

export function attentionGroups(segments: readonly Segment[]): AttentionGroup[] {
  const groups: AttentionGroup[] = [];
  let at = 0;
  while (at < segments.length) {
    const size = groupSizes.find((s) => s <= segments.length - at)!;
    groups.push({ size, segments: segments.slice(at, at + size) });
    at += size;
  }
  return groups;
}

/**
 * The rows of each segment under the names of a group's program: q -> q0, q1, ...
 * @param byQuery views with a row a token. @param byKey views with a row a repeated key.
 */
export function groupRows(
  group: AttentionGroup,
  byQuery: Readonly<Record<string, View>>,
  byKey: Readonly<Record<string, View>> = {},
): Record<string, View> {
  const bound: Record<string, View> = {};
  group.segments.forEach((s, i) => {
    for (const [name, v] of Object.entries(byQuery)) bound[`${name}${i}`] = rows(v, s.start, s.length);
    for (const [name, v] of Object.entries(byKey)) bound[`${name}${i}`] = rows(v, s.keyStart, s.keys);
  });
  return bound;
}

/** Room for the masks of all segments, one after the other: mask0, mask1, ... of each group. */
export function groupMasks(
  groups: readonly AttentionGroup[],
  workspace: Workspace,
  name = 'masks',
): Record<string, View>[] {
  const size = groups.flatMap((g) => g.segments).reduce((n, s) => n + s.length * s.keys, 0);
  const whole = workspace.get(name, [size]);
  let offset = 0;
  return groups.map((group) => {
    const masks = group.segments.map((s, i) => {
      const mask = view(whole.buffer, [s.length, s.keys], offset);
      offset += s.length * s.keys;
      return [`mask${i}`, mask] as const;
    });
    return Object.fromEntries(masks);
  });
}

const sizesOf = (group: AttentionGroup) =>
  Object.fromEntries(
    group.segments.flatMap((s, i) => [
      [`queries${i}`, s.length],
      [`keys${i}`, s.keys],
    ]),
  );

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
