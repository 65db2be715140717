// Marks from 1 to 5 by a teacher, as in AlpaGasus (Chen et al. 2023, arXiv 2307.08701), whose result was that fewer and
// better examples train better.
import { fillTemplate } from '../prompts/fillTemplate.ts';
import type { Task } from '../task.ts';
import type { Teacher, TeacherRequest } from '../teacher/types.ts';
import { type AskOptions, askAll } from './askAll.ts';
import type { RefinePrompts } from './refinePrompts.ts';

export interface Mark {
  /** 1 to 5; undefined where the judge's answer has none. */
  score: number | undefined;
  /** What the judge said. */
  text: string;
}

export function judgeRequest(task: Task, id: string, prompts: RefinePrompts): TeacherRequest {
  const content = fillTemplate(prompts.judge, { ...task });
  return { id, prompt: [{ role: 'user', content }], sampling: { temperature: 0, topP: 1, maxTokens: 256 } };
}

/** The number after the last "Score:"; else one that stands alone at the end, also as "4/5". */
export function parseMark(text: string): Mark {
  const said = [...text.matchAll(/(?:score|rating|评分|分数)\W{0,6}([1-5])(?![\d.]*\d)/giu)].at(-1);
  const alone = /(?:^|\s)\**([1-5])\**(?:\s*\/\s*5)?\.?\s*$/.exec(text);
  const digit = said?.[1] ?? alone?.[1];
  return { score: digit === undefined ? undefined : Number(digit), text };
}

/** @param name makes the requests' ids, so that the journal tells apart what is judged in one run. @throws as `askAll`. */
export async function judgeTasks(
  teacher: Teacher,
  tasks: readonly Task[],
  prompts: RefinePrompts,
  options: AskOptions & { name?: string } = {},
): Promise<Mark[]> {
  const { name = 'judge' } = options;
  const requests = tasks.map((task, i) => judgeRequest(task, `${name}/${i}`, prompts));
  return (await askAll(teacher, requests, options)).map(({ text }) => parseMark(text));
}
