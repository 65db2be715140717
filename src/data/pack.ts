// Puts whole examples side by side in rows of a bounded length, so that no pad tokens are computed.
// Bin packing by best fit, longest first (Johnson 1974): at most 11/9 of the fewest rows, plus a few.
import { HuacayaError, usageError } from '../base/index.ts';
import { countTargets, type Example } from './buildExample.ts';

export interface Pack {
  /** Whole examples, in the order in which they were given. */
  segments: Example[];
  /** Sum of their lengths, at most packLen. */
  tokens: number;
  /** Positions with a loss. */
  targets: number;
}

interface Bin {
  members: number[];
  room: number;
}

/**
 * Every example lands in exactly one pack. Deterministic: equal lengths keep their order, packs are ordered by their
 * first example.
 * @param packLen most tokens in a pack.
 * @throws HuacayaError USAGE (packLen), EXAMPLE_TOO_LONG.
 */
export function packExamples(examples: readonly Example[], packLen: number): Pack[] {
  if (!Number.isInteger(packLen) || packLen < 1) {
    throw usageError(`the pack length must be a whole number of at least 1, but it is ${packLen}`);
  }
  const tooLong = examples.find((example) => example.ids.length > packLen);
  if (tooLong) {
    throw new HuacayaError(
      'EXAMPLE_TOO_LONG',
      `the row in line ${tooLong.line} has ${tooLong.ids.length} tokens, but a pack holds ${packLen}`,
      { hint: `Raise the pack length to at least ${tooLong.ids.length}, or cut rows at ${packLen} tokens or less.` },
    );
  }

  const length = (index: number) => examples[index]!.ids.length;
  // Room beyond what all examples need would only be searched in vain.
  const capacity = Math.min(
    packLen,
    examples.reduce((sum, example) => sum + example.ids.length, 0),
  );
  const longestFirst = examples.map((_, index) => index).sort((a, b) => length(b) - length(a) || a - b);
  const bins: Bin[] = [];
  // Open bins by the room left in them, so that the tightest fit is found without looking at every bin.
  const byRoom = new Map<number, Bin[]>();
  for (const index of longestFirst) {
    const need = length(index);
    let room = need;
    while (room <= capacity && !byRoom.get(room)?.length) room++;
    let bin = byRoom.get(room)?.pop();
    if (!bin) {
      bin = { members: [], room: capacity };
      bins.push(bin);
    }
    bin.members.push(index);
    bin.room -= need;
    const sameRoom = byRoom.get(bin.room);
    if (sameRoom) sameRoom.push(bin);
    else byRoom.set(bin.room, [bin]);
  }

  for (const bin of bins) bin.members.sort((a, b) => a - b);
  bins.sort((a, b) => a.members[0]! - b.members[0]!);
  return bins.map(({ members }) => {
    const segments = members.map((index) => examples[index]!);
    return {
      segments,
      tokens: segments.reduce((sum, segment) => sum + segment.ids.length, 0),
      targets: segments.reduce((sum, segment) => sum + countTargets(segment), 0),
    };
  });
}

export interface BatchOptions {
  /** Examples per optimiser step; the last step of an epoch may have fewer. */
  batchSize: number;
  packLen: number;
}

/** One entry per optimiser step: its examples, packed. A step's examples do not depend on the pack length. Throws as packExamples. */
export function batchPacks(examplesInOrder: readonly Example[], options: BatchOptions): Pack[][] {
  const { batchSize, packLen } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw usageError(`the batch size must be a whole number of at least 1, but it is ${batchSize}`);
  }
  const steps: Pack[][] = [];
  for (let from = 0; from < examplesInOrder.length; from += batchSize) {
    steps.push(packExamples(examplesInOrder.slice(from, from + batchSize), packLen));
  }
  return steps;
}
