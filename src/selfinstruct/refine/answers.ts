// Answers of a teacher to instructions that somebody else wrote: one each (distillation), or several to choose from.
import type { Task } from '../task.ts';
import type { Teacher, TeacherRequest } from '../teacher/types.ts';
import { type AskOptions, askAll } from './askAll.ts';

export interface Answer {
  text: string;
  /** Stopped at the limit of tokens, or by the provider's filter: the end is missing. */
  cut: boolean;
}

export interface Answered {
  instruction: string;
  input: string;
  answers: Answer[];
}

export interface AnswerOptions extends AskOptions {
  /** Answers a task; default 1. */
  n?: number;
  /** Default 0.7, or 0 where one answer is wanted. */
  temperature?: number;
  maxTokens?: number;
  /** What the teacher is told before every task. */
  system?: string;
}

/** How a task is put to a teacher, and to a model that learns from preferences. */
export const taskPrompt = ({ instruction, input }: Pick<Task, 'instruction' | 'input'>): string =>
  input === '' ? instruction : `${instruction}\n\n${input}`;

/** The request for answer `k` to the task at `index`. */
export function answerRequest(
  task: Pick<Task, 'instruction' | 'input'>,
  index: number,
  k: number,
  options: AnswerOptions,
) {
  const { n = 1, temperature = n === 1 ? 0 : 0.7, maxTokens = 1024, system } = options;
  const user = { role: 'user', content: taskPrompt(task) } as const;
  return {
    id: `answer/${index}/${k}`,
    prompt: system ? [{ role: 'system', content: system } as const, user] : [user],
    sampling: { temperature, topP: 1, maxTokens },
  } satisfies TeacherRequest;
}

/** @returns the tasks with all their answers; without those that the signal left unanswered. @throws as `askAll`. */
export async function answerTasks(
  teacher: Teacher,
  tasks: readonly Pick<Task, 'instruction' | 'input'>[],
  options: AnswerOptions = {},
): Promise<Answered[]> {
  const { n = 1 } = options;
  const requests = tasks.flatMap((task, i) => Array.from({ length: n }, (_, k) => answerRequest(task, i, k, options)));
  const replies = await askAll(teacher, requests, options);
  return tasks.slice(0, Math.floor(replies.length / n)).map(({ instruction, input }, i) => ({
    instruction,
    input,
    answers: replies.slice(i * n, (i + 1) * n).map(({ text, finishReason }) => ({
      text: text.trim(),
      cut: finishReason !== 'stop',
    })),
  }));
}
