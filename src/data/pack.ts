// Puts whole examples side by side in rows of a bounded length, so that no pad tokens are computed, and nothing twice that
// several of them start with. Bin packing by best fit, longest first (Johnson 1974).
import { HuacayaError, usageError } from '../base/index.ts';
import { countTargets, type Example } from './buildExample.ts';
import { type Family, familyOf, findFamilies } from './sharedPrefix.ts';

export interface Pack {
  /** Whole examples, in the order in which they were given. */
  segments: Example[];
  /** The same, by what they share. */
  families: Family[];
  /** Sum of the examples' lengths. */
  tokens: number;
  /** Tokens that are computed, at most packLen: a shared prefix counts once. */
  rows: number;
  /** Positions with a loss, over all examples. */
  targets: number;
}

export interface PackOptions {
  /** Most tokens computed in a pack. */
  packLen: number;
  /** Compute a prefix that several examples share once for all of them (the default). */
  sharedPrefix?: boolean;
}

interface Bin {
  /** Indices of examples by family. */
  members: Map<number, number[]>;
  room: number;
}

/** Bins by the room that is left in them, so that the tightest fit is found without looking at every bin. */
class Rooms {
  private readonly byRoom = new Map<number, Bin[]>();

  add(bin: Bin): void {
    const same = this.byRoom.get(bin.room);
    if (same) same.push(bin);
    else this.byRoom.set(bin.room, [bin]);
  }

  /** The tightest bin with room for `need`; it may stay listed under a room that it no longer has. */
  take(need: number, capacity: number): Bin | undefined {
    for (let room = need; room <= capacity; room++) {
      const bins = this.byRoom.get(room);
      while (bins?.length) {
        const bin = bins.pop()!;
        if (bin.room === room) return bin;
      }
    }
    return undefined;
  }
}

function checkLengths(examples: readonly Example[], packLen: number): void {
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
}

/**
 * Every example lands in exactly one pack. Deterministic: equal lengths keep their order, packs are ordered by their
 * first example.
 * @throws HuacayaError USAGE (packLen), EXAMPLE_TOO_LONG.
 */
export function packExamples(examples: readonly Example[], options: PackOptions): Pack[] {
  const { packLen, sharedPrefix = true } = options;
  checkLengths(examples, packLen);
  const families = sharedPrefix ? findFamilies(examples) : examples.map((_, i) => [i]);
  const familyOfExample = new Int32Array(examples.length);
  const prefix = families.map((members, f) => {
    for (const i of members) familyOfExample[i] = f;
    return familyOf(members.map((i) => examples[i]!)).prefix;
  });

  const length = (index: number) => examples[index]!.ids.length;
  // Room beyond what all examples need would only be searched in vain.
  const all = examples.reduce((sum, example) => sum + example.ids.length, 0);
  const capacity = Math.min(packLen, all);
  const bins: Bin[] = [];
  const open = new Rooms();
  const withFamily = families.map(() => new Rooms());
  for (const index of examples.map((_, i) => i).sort((a, b) => length(b) - length(a) || a - b)) {
    const family = familyOfExample[index]!;
    const own = length(index) - prefix[family]!;
    let bin = withFamily[family]!.take(own, capacity) ?? open.take(length(index), capacity);
    if (!bin) {
      bin = { members: new Map(), room: capacity };
      bins.push(bin);
    }
    const members = bin.members.get(family);
    if (members) members.push(index);
    else bin.members.set(family, [index]);
    bin.room -= members ? own : length(index);
    open.add(bin);
    for (const f of bin.members.keys()) withFamily[f]!.add(bin);
  }

  const packs = bins.map(({ members }) => {
    const groups = [...members.values()].map((group) => group.sort((a, b) => a - b)).sort((a, b) => a[0]! - b[0]!);
    return { groups, order: groups.flat().sort((a, b) => a - b) };
  });
  packs.sort((a, b) => a.order[0]! - b.order[0]!);
  return packs.map(({ groups, order }) => {
    const segments = order.map((index) => examples[index]!);
    const made = groups.map((group) => familyOf(group.map((index) => examples[index]!)));
    const tokens = segments.reduce((sum, segment) => sum + segment.ids.length, 0);
    return {
      segments,
      families: made,
      tokens,
      rows: tokens - made.reduce((saved, f) => saved + (f.members.length - 1) * f.prefix, 0),
      targets: segments.reduce((sum, segment) => sum + countTargets(segment), 0),
    };
  });
}

export interface BatchOptions extends PackOptions {
  /** Examples per optimiser step; the last step of an epoch may have fewer. */
  batchSize: number;
}

/** One entry per optimiser step: its examples, packed. A step's examples do not depend on the pack length. Throws as packExamples. */
export function batchPacks(examplesInOrder: readonly Example[], options: BatchOptions): Pack[][] {
  const { batchSize } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw usageError(`the batch size must be a whole number of at least 1, but it is ${batchSize}`);
  }
  const steps: Pack[][] = [];
  for (let from = 0; from < examplesInOrder.length; from += batchSize) {
    steps.push(packExamples(examplesInOrder.slice(from, from + batchSize), options));
  }
  return steps;
}
