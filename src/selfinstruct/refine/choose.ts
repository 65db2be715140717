// From several judged answers: the best one (rejection sampling), or a good and a bad one (preferences for DPO).
import type { Task } from '../task.ts';
import { type Answered, taskPrompt } from './answers.ts';
import type { Mark } from './judge.ts';

export interface Scored extends Task {
  score: number;
}

/** A row as TRL (prompt, chosen, rejected) and LLaMA-Factory (instruction, input, chosen, rejected) read it. */
export interface PreferencePair {
  prompt: string;
  instruction: string;
  input: string;
  chosen: string;
  rejected: string;
  chosen_score: number;
  rejected_score: number;
}

/** Answers with a mark, best first; of equals the one that came first. Those cut off are never good. */
function ranked({ answers }: Answered, marks: readonly Mark[]) {
  return answers
    .map(({ text, cut }, i) => ({ text, cut, score: marks[i]?.score }))
    .filter((a): a is { text: string; cut: boolean; score: number } => a.score !== undefined && a.text !== '')
    .sort((a, b) => Number(a.cut) - Number(b.cut) || b.score - a.score);
}

/** The best answer to a task; undefined when none reaches `least`. */
export function bestAnswer(task: Answered, marks: readonly Mark[], least: number): Scored | undefined {
  const best = ranked(task, marks)[0];
  if (!best || best.cut || best.score < least) return undefined;
  return { instruction: task.instruction, input: task.input, output: best.text, score: best.score };
}

/** The best and the worst answer to a task; undefined when they are nearer than `margin`. */
export function preferencePair(task: Answered, marks: readonly Mark[], margin: number): PreferencePair | undefined {
  const all = ranked(task, marks);
  const best = all[0];
  const worst = all.findLast((a) => a.text !== best?.text);
  if (!best || !worst || best.cut || best.score - worst.score < margin) return undefined;
  const { instruction, input } = task;
  const scores = { chosen_score: best.score, rejected_score: worst.score };
  return { prompt: taskPrompt(task), instruction, input, chosen: best.text, rejected: worst.text, ...scores };
}
