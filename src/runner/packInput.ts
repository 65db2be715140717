// Token sequences laid end to end, as the programs take them; a prefix that several of them share is laid down once.
import { HuacayaError, invariant } from '../base/index.ts';
import { type View, view } from '../engine/index.ts';
import type { ResidentModel } from './residentModel.ts';
import type { Workspace } from './workspace.ts';

/** A sequence with, for each position, the token that should follow it, or -1 for "no loss here". */
export interface TokenSequence {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
}

/** Sequences whose first `prefix` tokens, and their targets, are the same; each goes on for at least one token. */
export interface TokenFamily {
  readonly prefix: number;
  readonly members: readonly TokenSequence[];
}

/** A sequence that shares nothing. */
export const alone = (sequence: TokenSequence): TokenFamily => ({ prefix: 0, members: [sequence] });

/** Neighbouring rows whose queries see the same keys: a sequence, a shared prefix, or what a branch adds to one. */
export interface Segment {
  /** Rows of the pack. */
  start: number;
  length: number;
  /** Rows of the repeated keys: those of the prefix, then the segment's own. */
  keyStart: number;
  keys: number;
}

/** The layout of a pack, on the host. */
export interface PackLayout {
  segments: Segment[];
  ids: number[];
  positions: number[];
  /** Rows that have a target, what follows them, and in how many sequences it does. */
  targetRows: number[];
  labels: number[];
  counts: number[];
  /** For each repeated key, the row it comes from; for each row, where its own key lies. */
  keyRows: number[];
  ownRows: number[];
  /** Rows of shared prefixes, and for each the places of its keys in the branches. */
  sharedRows: number[];
  copyRows: number[][];
}

export function layOutPack(families: readonly TokenFamily[]): PackLayout {
  const o: PackLayout = {
    segments: [],
    ids: [],
    positions: [],
    targetRows: [],
    labels: [],
    counts: [],
    keyRows: [],
    ownRows: [],
    sharedRows: [],
    copyRows: [],
  };
  const place = (s: TokenSequence, from: number, to: number, prefixStart: number, sequences: number) => {
    const start = o.ids.length;
    const keyStart = o.keyRows.length;
    for (let i = 0; i < from; i++) {
      o.copyRows[o.sharedRows.length - from + i]!.push(o.keyRows.length);
      o.keyRows.push(prefixStart + i);
    }
    for (let i = from; i < to; i++) {
      const row = o.ids.length;
      if (s.targets[i]! >= 0) {
        o.targetRows.push(row);
        o.labels.push(s.targets[i]!);
        o.counts.push(sequences);
      }
      o.ids.push(s.ids[i]!);
      o.positions.push(i);
      o.ownRows.push(o.keyRows.length);
      o.keyRows.push(row);
    }
    o.segments.push({ start, length: to - from, keyStart, keys: to });
  };
  for (const { prefix, members } of families) {
    const start = o.ids.length;
    if (prefix > 0) {
      place(members[0]!, 0, prefix, start, members.length);
      for (let i = 0; i < prefix; i++) {
        o.sharedRows.push(start + i);
        o.copyRows.push([]);
      }
    }
    for (const s of members) {
      invariant(prefix < s.ids.length, `a prefix of ${prefix} leaves nothing of a sequence of ${s.ids.length} tokens`);
      place(s, prefix, s.ids.length, start, 1);
    }
  }
  return o;
}

export interface PackInput {
  tokens: number;
  /** Repeated keys. */
  keys: number;
  segments: readonly Segment[];
  /** Device: [tokens] and [1, tokens], int64. */
  ids: View;
  positions: View;
  /** Device: rows that have a target [targets], what follows them [targets, 1]. */
  targetRows: View;
  labels: View;
  targets: number;
  /** In how many sequences a target occurs, [targets]. */
  counts: readonly number[];
  /** Device: how keys repeat, see `attentionInputOutputs`. */
  repetition: Record<string, View>;
}

/** Token ids and indices as the programs take them. */
export const int64Array = (values: ArrayLike<number>) =>
  BigInt64Array.from({ length: values.length }, (_, i) => BigInt(values[i]!));

/** @throws HuacayaError TOO_LONG when a sequence is longer than the positions that were loaded. */
export function packInput(model: ResidentModel, workspace: Workspace, families: readonly TokenFamily[]): PackInput {
  for (const s of families.flatMap((f) => f.members)) {
    if (s.ids.length <= model.positions) continue;
    throw new HuacayaError(
      'TOO_LONG',
      `a sequence of ${s.ids.length} tokens, the model has ${model.positions} positions`,
    );
  }
  const layout = layOutPack(families);
  const put = (name: string, values: readonly number[], shape: number[]) => {
    const v = workspace.get(name, shape, 'int64');
    model.runtime.write(v.buffer, int64Array(values));
    return v;
  };
  const tokens = layout.ids.length;
  const keys = layout.keyRows.length;
  const targets = layout.labels.length;
  // Without a shared row there is still one, of which nothing is copied: no program meets an empty tensor.
  const shared = layout.sharedRows.length || 1;
  const copies = layout.copyRows.reduce((n, places) => Math.max(n, places.length), 1);
  const copyRows = Array.from({ length: copies }, (_, i) =>
    Array.from({ length: shared }, (_, j) => layout.copyRows[j]?.[i]),
  ).flat();
  const copyMask = workspace.get('copyMask', [copies, shared, 1]);
  model.runtime.write(
    copyMask.buffer,
    Float32Array.from(copyRows, (place) => (place === undefined ? 0 : 1)),
  );
  return {
    tokens,
    keys,
    segments: layout.segments,
    ids: put('ids', layout.ids, [tokens]),
    positions: put('positions', layout.positions, [1, tokens]),
    targetRows: put('targetRows', layout.targetRows, [targets]),
    labels: put('labels', layout.labels, [targets, 1]),
    targets,
    counts: layout.counts,
    repetition: {
      keyRows: put('keyRows', layout.keyRows, [keys]),
      ownRows: put('ownRows', layout.ownRows, [tokens]),
      sharedRows: put('sharedRows', layout.sharedRows.length ? layout.sharedRows : [0], [shared]),
      copyRows: put(
        'copyRows',
        copyRows.map((place) => place ?? 0),
        [copies, shared],
      ),
      copyMask,
    },
  };
}

/** The causal indices of one sequence, as views of the counting vector. */
export function causalIndices(model: ResidentModel, queries: number, past = 0) {
  return {
    queryIndex: view(model.iota.buffer, [queries], past),
    keyIndex: view(model.iota.buffer, [past + queries]),
  };
}
