// One request after another to a teacher, many under way at a time, answers in order.
import { runOrdered } from '../pipelines/orderedRequests.ts';
import type { Teacher, TeacherReply, TeacherRequest } from '../teacher/types.ts';

export interface AskOptions {
  /** Requests under way; default 16. */
  lookahead?: number;
  signal?: AbortSignal;
  /** After each answer that was taken. */
  onAnswer?(done: number, total: number): void;
}

/**
 * The answers in the order of the requests; fewer when the signal came.
 * @throws what the teacher throws: what was answered before is in its journal, and costs nothing the next time.
 */
export async function askAll(
  teacher: Teacher,
  requests: readonly TeacherRequest[],
  { lookahead = 16, signal, onAnswer }: AskOptions = {},
): Promise<TeacherReply[]> {
  const replies: TeacherReply[] = [];
  await runOrdered({
    teacher,
    lookahead,
    build: (i) => requests[i],
    async take(_i, _request, reply) {
      replies.push(reply);
      onAnswer?.(replies.length, requests.length);
      return true;
    },
    ...(signal ? { signal } : {}),
  });
  return replies;
}
