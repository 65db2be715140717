// Token sequences laid end to end, as the programs take them.
import { HuacayaError } from '../base/index.ts';
import { type View, view } from '../engine/index.ts';
import type { ResidentModel } from './residentModel.ts';
import type { Workspace } from './workspace.ts';

/** A sequence with, for each position, the token that should follow it, or -1 for "no loss here". */
export interface TokenSequence {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
}

export interface PackInput {
  tokens: number;
  segments: { start: number; length: number }[];
  /** Device: [tokens] and [1, tokens], int64. */
  ids: View;
  positions: View;
  /** Device: rows that have a target [targets], what follows them [targets, 1]. */
  targetRows: View;
  labels: View;
  targets: number;
}

/** Token ids and indices as the programs take them. */
export const int64Array = (values: ArrayLike<number>) =>
  BigInt64Array.from({ length: values.length }, (_, i) => BigInt(values[i]!));

/** @throws HuacayaError TOO_LONG when a sequence is longer than the positions that were loaded. */
export function packInput(model: ResidentModel, workspace: Workspace, sequences: readonly TokenSequence[]): PackInput {
  const ids: number[] = [];
  const positions: number[] = [];
  const targetRows: number[] = [];
  const labels: number[] = [];
  const segments: PackInput['segments'] = [];
  for (const s of sequences) {
    if (s.ids.length > model.positions) {
      throw new HuacayaError(
        'TOO_LONG',
        `a sequence of ${s.ids.length} tokens, the model has ${model.positions} positions`,
      );
    }
    segments.push({ start: ids.length, length: s.ids.length });
    s.ids.forEach((id, i) => {
      if (s.targets[i]! >= 0) {
        targetRows.push(ids.length);
        labels.push(s.targets[i]!);
      }
      ids.push(id);
      positions.push(i);
    });
  }
  const put = (name: string, values: number[], shape: number[]) => {
    const v = workspace.get(name, shape, 'int64');
    model.runtime.write(v.buffer, int64Array(values));
    return v;
  };
  const tokens = ids.length;
  const targets = labels.length;
  return {
    tokens,
    segments,
    ids: put('ids', ids, [tokens]),
    positions: put('positions', positions, [1, tokens]),
    targetRows: put('targetRows', targetRows, [targets]),
    labels: put('labels', labels, [targets, 1]),
    targets,
  };
}

/** The causal indices of one sequence, as views of the counting vector. */
export function causalIndices(model: ResidentModel, queries: number, past = 0) {
  return {
    queryIndex: view(model.iota.buffer, [queries], past),
    keyIndex: view(model.iota.buffer, [past + queries]),
  };
}
