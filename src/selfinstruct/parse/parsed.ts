// What a reader of answers hands on: candidates, and what it could not use.
import type { RejectReason, Task } from '../task.ts';

export interface Parsed<T = Task> {
  items: T[];
  /** `text`: the beginning of what was not used. */
  rejected: { reason: RejectReason; text: string }[];
}

/** Enough of a text to recognise it by. */
export const beginning = (text: string) => text.replace(/\s+/g, ' ').trim().slice(0, 120);
