// `huacaya generate --data-path`: checks, the file of answers, an interrupt, and what is said in the end.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HuacayaError, usageError } from '../../base/index.ts';
import { fileError } from '../../base/node.ts';
import type { AlpacaRecord } from '../../data/index.ts';
import { readRecords } from '../../data/node.ts';
import { withLock } from '../../hub/index.ts';
import { describeModel, type GenerationFlags, startGeneration } from '../generation.ts';
import { describeKnobs } from '../knobsInUse.ts';
import type { Output } from '../output.ts';
import { modelReference } from '../session.ts';
import { type AnswerPlan, planAnswerFile } from './answerFile.ts';
import { keyOf } from './answerLine.ts';
import { batchSettings } from './batchSettings.ts';
import { type BatchResult, runBatch } from './runBatch.ts';

export interface BatchFlags extends GenerationFlags {
  output?: string;
  overwrite?: boolean;
  limit?: number;
}

interface Job {
  records: readonly AlpacaRecord[];
  settings: string;
  signal: AbortSignal;
}

/** @throws HuacayaError before anything is loaded where it can. */
export async function generateBatch(out: Output, dataPath: string, flags: BatchFlags): Promise<void> {
  const { output, limit, overwrite = false } = flags;
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1)) {
    throw usageError(`--limit is ${limit}; use a whole number from 1`);
  }
  if (output !== undefined && modelReference(output) === modelReference(dataPath)) {
    throw usageError(`--output is ${output}, the file of the questions`, 'Name another file.');
  }
  const all = (await readRecords(dataPath, { questionsOnly: true })).records;
  const records = all.slice(0, limit);
  const settings = await batchSettings(flags);
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    out.say('stopping; press Ctrl-C again to leave at once');
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const job: Job = { records, settings, signal: stop.signal };
  try {
    if (output === undefined) return report(out, undefined, records.length, await answerAll(out, flags, job));
    // A folder that cannot be made would look like a lock that somebody holds.
    await mkdir(dirname(output), { recursive: true }).catch((cause) => {
      throw fileError(dirname(output), cause);
    });
    const result = await withLock(
      `${output}.lock`,
      async () => {
        const plan = await planAnswerFile(output, { keys: all.map(keyOf), settings, overwrite });
        announce(out, output, plan);
        return answerAll(out, flags, job, plan);
      },
      { signal: stop.signal, onWait: () => out.say(`waiting: another run writes ${output}`) },
    );
    report(out, output, records.length, result);
  } catch (e) {
    if (!(stop.signal.aborted && (e as Error).name === 'AbortError')) throw e;
    process.exitCode = 130;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

function announce(out: Output, path: string, plan: AnswerPlan): void {
  if (plan.torn > 0) out.warn(`${path}: the last line was cut short (${plan.torn} bytes); it is made again`);
  if (plan.changed > 0) {
    out.warn(`${path}: ${plan.changed} answers belong to rows that have changed; those rows are answered again`);
  }
  if (plan.answered.size > 0) out.say(`going on: ${path} has the answers of ${plan.answered.size} rows`);
}

async function answerAll(out: Output, flags: BatchFlags, job: Job, plan?: AnswerPlan): Promise<BatchResult> {
  const answered: ReadonlySet<number> = plan?.answered ?? new Set();
  const complete = job.records.every((_, i) => answered.has(i + 1));
  const nothing = { answered: 0, skipped: job.records.length, failed: 0, stopped: false, tokens: 0 };
  const g = complete ? undefined : await startGeneration(out, flags);
  try {
    const file = await plan?.open();
    try {
      if (!g) return nothing;
      out.say(`${describeModel(g, g.model)}, template ${g.model.template}, ${describeKnobs(g.knobs)}`);
      return await runBatch(out, g, { ...job, answered, ...(file ? { file } : {}) });
    } finally {
      // Also what was answered before an error counts.
      await file?.finish().finally(() => file.close());
    }
  } finally {
    await g?.assistant.close();
  }
}

/** @throws HuacayaError ROWS_FAILED. */
function report(out: Output, path: string | undefined, rows: number, result: BatchResult): void {
  const { answered, skipped, failed, stopped } = result;
  const before = skipped > 0 ? `, ${skipped} were before` : '';
  const left = rows - answered - skipped - failed;
  const rest = stopped ? `, ${left} are left${path ? ': the same call goes on' : ''}` : '';
  out.say(`${answered} of ${rows} rows answered${before}${rest}`);
  if (path !== undefined) {
    if (out.format === 'human') out.data(path);
    out.json({ type: 'done', output: path, rows, ...result });
  }
  if (stopped) process.exitCode = 130;
  else if (failed > 0) {
    throw new HuacayaError('ROWS_FAILED', `${failed} of ${rows} rows could not be answered`, {
      hint: path ? 'The warnings above say why; the same call tries them again.' : 'The warnings above say why.',
    });
  }
}
