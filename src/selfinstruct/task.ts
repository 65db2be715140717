// The words of this room: a task that a model can be trained on, and one that was written by a person.
import type { Neighbour } from './dedupe/types.ts';

export interface Task {
  instruction: string;
  /** '' where the instruction needs none. */
  input: string;
  output: string;
}

export interface SeedTask {
  id: string;
  name: string;
  instruction: string;
  instances: readonly { input: string; output: string }[];
  isClassification: boolean;
}

/** A machine-made task that passed the filters and the dedupe. */
export interface Accepted extends Task {
  /** The request that it came from, or -1 where it was there before this run. */
  request: number;
  nearest: readonly Neighbour[];
  /** Mean similarity to everything that was in when it came. */
  mean: number;
}

export interface Rejected {
  request: number;
  reason: RejectReason;
  /** The instruction, or the beginning of what could not be read. */
  text: string;
}

/** Why a candidate was not taken, in the order in which it is asked. */
export const rejectReasons = [
  'refused',
  'unreadable',
  'truncated',
  'too_short',
  'too_long',
  'keyword',
  'program',
  'punctuation',
  'not_ascii',
  'wrong_language',
  'empty_output',
  'output_is_input',
  'ends_with_colon',
  'placeholder',
  'conflict',
  'refusal',
  'duplicate',
] as const;
export type RejectReason = (typeof rejectReasons)[number];
