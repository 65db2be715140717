// Requests in a window: many under way, answers taken in order, and prompts that depend on nothing but that order.
import { HuacayaError } from '../../base/index.ts';
import type { Teacher, TeacherReply, TeacherRequest } from '../teacher/types.ts';

export interface OrderedRequests {
  teacher: Teacher;
  /** Request i is built when the answer to request i - lookahead has been taken. */
  lookahead: number;
  /** The i-th request; undefined: there is none, nor any after it. */
  build(i: number): TeacherRequest | undefined;
  /** Takes the i-th answer. @returns false when no more are wanted. */
  take(i: number, request: TeacherRequest, reply: TeacherReply): Promise<boolean>;
  /** The teacher will not answer this one, and cost nothing. @returns false to give up; without this method that is a failure. */
  refused?(i: number, request: TeacherRequest, error: HuacayaError): boolean;
  /** How many answers are worth waiting for at this moment: what is not asked costs nothing. At least one is asked. */
  wanted?(): number;
  /** No more is asked; what has been asked is waited for and taken, because it is paid. */
  signal?: AbortSignal;
}

/**
 * Runs until `take` says no, the requests are used up, or the signal.
 *
 * Same seed, same answers, same result, whatever the concurrency: which requests are under way decides only *when* something
 * is asked, never what.
 * @throws what the teacher throws, after all that was asked has come back and what came before the failure is taken.
 */
export async function runOrdered(run: OrderedRequests): Promise<'enough' | 'used up' | 'stopped'> {
  const { teacher, lookahead, signal } = run;
  const ready: TeacherRequest[] = [];
  const asked: { i: number; request: TeacherRequest; reply: Promise<TeacherReply> }[] = [];
  let built = 0;
  let sent = 0;
  let more = true;
  const buildNext = () => {
    const request = more ? run.build(built) : undefined;
    if (!request) {
      more = false;
      return;
    }
    ready.push(request);
    built++;
  };
  for (let i = 0; i < lookahead; i++) buildNext();
  try {
    for (;;) {
      const wanted = Math.max(1, run.wanted?.() ?? lookahead);
      while (ready.length > 0 && asked.length < wanted && !signal?.aborted) {
        const request = ready.shift()!;
        const reply = teacher.ask(request);
        // Looked at in order, below; until then a failure is nobody's.
        reply.catch(() => {});
        asked.push({ i: sent++, request, reply });
      }
      const first = asked[0];
      if (!first) return signal?.aborted && ready.length > 0 ? 'stopped' : 'used up';
      const reply = await first.reply.catch((error) => {
        if (error instanceof HuacayaError && error.code === 'TEACHER_REFUSED' && run.refused) {
          if (run.refused(first.i, first.request, error)) return undefined;
        }
        throw error;
      });
      asked.shift();
      if (reply && !(await run.take(first.i, first.request, reply))) return 'enough';
      buildNext();
    }
  } finally {
    // The journal must have what is paid before the run ends.
    await Promise.allSettled(asked.map(({ reply }) => reply));
  }
}
