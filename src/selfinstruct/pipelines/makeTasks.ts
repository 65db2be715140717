// The stage that both pipelines share: ask for tasks, filter, drop near-duplicates, until there are enough.
import { HuacayaError } from '../../base/index.ts';
import type { Parsed } from '../parse/parsed.ts';
import type { TeacherReply, TeacherRequest } from '../teacher/types.ts';
import { runOrdered } from './orderedRequests.ts';
import { countsSince, historyOf, type PipelineOptions, refusedHistory, type Stage } from './pipeline.ts';
import type { Pool } from './pool.ts';
import type { RunState } from './runState.ts';

/** Answers in a row that brought nothing: a teacher that cannot do it must not be paid for ever. */
const patience = 25;

export interface MakeTasks {
  stage: Stage;
  /** Good tasks that an answer brings, before anything is known: decides how many requests are sent at first. */
  expected: number;
  build(i: number): TeacherRequest;
  read(reply: TeacherReply): Parsed;
  /** Told of every answer that brought something. */
  onBrought?(i: number, request: TeacherRequest, reply: TeacherReply): void;
}

/**
 * Fills the pool and the history of `state`, which hold what was taken also when this throws.
 * @returns whether there are enough.
 * @throws HuacayaError INSTRUCT_STALLED when 25 answers in a row brought nothing, and what the teacher throws.
 */
export async function makeTasks(
  { recipe, teacher, signal, hope = 1, onProgress }: PipelineOptions,
  { pool, history }: RunState,
  { stage, expected, build, read, onBrought }: MakeTasks,
): Promise<boolean> {
  const { num } = recipe;
  const atStart = pool.accepted.length;
  let empty = 0;
  // What comes from the journal does not try anybody's patience: another model may have been chosen since.
  const paidBefore = teacher.spent().requests;
  const tell = () =>
    onProgress?.({
      stage,
      done: pool.accepted.length,
      wanted: num,
      answers: history.length,
      accepted: pool.accepted.length,
      rejected: { ...pool.counts },
      spent: teacher.spent(),
    });
  tell();
  if (atStart >= num) return true;
  const end = await runOrdered({
    teacher,
    lookahead: recipe.lookahead,
    build,
    wanted() {
      const seen = history.length;
      const each = seen === 0 ? expected * hope : Math.max((pool.accepted.length - atStart) / seen, expected / 20);
      return Math.ceil((num - pool.accepted.length) / each);
    },
    async take(i, request, reply) {
      const before = { accepted: pool.accepted.length, rejected: { ...pool.counts } };
      await pool.offer(read(reply), i, num);
      const brought = pool.accepted.length - before.accepted;
      history.push(historyOf(reply, brought, countsSince(before.rejected, pool.counts)));
      if (brought > 0) onBrought?.(i, request, reply);
      empty = brought === 0 && teacher.spent().requests > paidBefore ? empty + 1 : 0;
      tell();
      if (empty >= patience) throw stalled(pool);
      return pool.accepted.length < num;
    },
    refused(i, request, { message }) {
      // A first refusal is of the settings, not of one prompt.
      if (history.length === 0 || ++empty >= patience) return false;
      pool.reject(i, 'refused', message);
      history.push(refusedHistory(request.id));
      return true;
    },
    ...(signal ? { signal } : {}),
  });
  return end === 'enough';
}

function stalled({ counts, rejected }: Pool): HuacayaError {
  const reasons = Object.entries(counts).sort(([, a], [, b]) => b - a);
  const most = reasons.slice(0, 3).map(([reason, n]) => `${reason} ${n}`);
  const last = rejected.at(-1);
  const shown = last ? `; the last one (${last.reason}): "${last.text.slice(0, 80)}"` : '; the answers were empty';
  return new HuacayaError(
    'INSTRUCT_STALLED',
    `${patience} answers in a row brought no new task (rejected in all: ${most.join(', ') || 'none'})${shown}`,
    {
      hint: 'The teacher may be too weak for these prompts, or the pool is full of its ideas: another model, more seeds, a higher dedupe.threshold, or structured_output may help.',
    },
  );
}
