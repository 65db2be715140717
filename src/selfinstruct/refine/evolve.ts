// Harder or rarer tasks out of those that are there (Evol-Instruct: Xu et al. 2023, arXiv 2304.12244).
import type { Dedupe } from '../dedupe/types.ts';
import type { Filter } from '../filters/filters.ts';
import { isRefusal } from '../filters/refusal.ts';
import { fillTemplate } from '../prompts/fillTemplate.ts';
import type { RejectReason, Task } from '../task.ts';
import type { Teacher, TeacherRequest } from '../teacher/types.ts';
import { taskPrompt } from './answers.ts';
import { type AskOptions, askAll } from './askAll.ts';
import type { RefinePrompts } from './refinePrompts.ts';

export type Direction = 'deeper' | 'broader';

export interface Evolved {
  /** Without outputs: these are asked for next, by `answerTasks`. */
  tasks: { instruction: string; input: string }[];
  rejected: Partial<Record<RejectReason, number>>;
}

export interface EvolveOptions extends AskOptions {
  direction: Direction;
  prompts: RefinePrompts;
  /** Of the prompt set. */
  refusals: readonly string[];
  filter: Filter;
  /** Holds what a new task may not be near to, and takes what is new. Not the tasks themselves with `deeper`: it resembles them. */
  dedupe: Dedupe;
}

/** One new task from each. The input goes into the new instruction where there is one. @throws as `askAll`. */
export async function evolveTasks(
  teacher: Teacher,
  tasks: readonly Pick<Task, 'instruction' | 'input'>[],
  { direction, prompts, refusals, filter, dedupe, ...ask }: EvolveOptions,
): Promise<Evolved> {
  const requests = tasks.map(
    (task, i): TeacherRequest => ({
      id: `${direction}/${i}`,
      prompt: [{ role: 'user', content: fillTemplate(prompts[direction], { instruction: taskPrompt(task) }) }],
      sampling: { temperature: 0.7, topP: 1, maxTokens: 512 },
    }),
  );
  const evolved: Evolved = { tasks: [], rejected: {} };
  for (const [i, { text, finishReason }] of (await askAll(teacher, requests, ask)).entries()) {
    const instruction = withoutLabel(text);
    const reason =
      finishReason !== 'stop'
        ? 'truncated'
        : isRefusal(instruction, refusals)
          ? 'refusal'
          : (filter({ instruction, input: '', output: '' }) ??
            (instruction === taskPrompt(tasks[i]!) || (await dedupe.check(instruction)).duplicate
              ? 'duplicate'
              : undefined));
    if (reason) {
      evolved.rejected[reason] = (evolved.rejected[reason] ?? 0) + 1;
      continue;
    }
    dedupe.add(instruction);
    evolved.tasks.push({ instruction, input: '' });
  }
  return evolved;
}

/** Teachers like to begin with "New task:", or to put what they wrote into quotes. */
function withoutLabel(text: string): string {
  const bare = text
    .trim()
    .replace(/^(?:[#*]*\s*)?(?:(?:new|rewritten) )?(?:task|prompt|instruction)\s*[:：]\**\s*/i, '');
  const plain = bare.replace(/^新?(?:的)?任务\s*[:：]\s*/, '');
  return /^(["“'])[^"“”]*["”']$/.test(plain) ? plain.slice(1, -1).trim() : plain;
}
