// Answers all rows of a data file, several at a time; each answer is written as soon as it is there.
import { HuacayaError } from '../../base/index.ts';
import type { AlpacaRecord } from '../../data/index.ts';
import type { Generated } from '../../infer/index.ts';
import { answerJson, ask } from '../answer.ts';
import type { Generation } from '../generation.ts';
import { inOrder } from '../inOrder.ts';
import { clock, type Output } from '../output.ts';
import type { AnswerFile } from './answerFile.ts';
import { type AnswerLine, encodeLine, keyOf } from './answerLine.ts';

export interface BatchOptions {
  records: readonly AlpacaRecord[];
  settings: string;
  /** Rows that were answered before. */
  answered: ReadonlySet<number>;
  /** Without it the lines go to stdout, in the order of the rows. */
  file?: AnswerFile;
  signal: AbortSignal;
}

export interface BatchResult {
  answered: number;
  /** Answered before. */
  skipped: number;
  failed: number;
  stopped: boolean;
  tokens: number;
}

type Outcome = { row: number } & ({ line: AnswerLine; made: Generated } | { error: HuacayaError } | { stopped: true });

/** The fault of one row, and no reason to stop: it is too long, or the model's template refuses it. */
const isAboutRow = (e: unknown): e is HuacayaError =>
  e instanceof HuacayaError && ['TOO_LONG', 'TOKEN_RANGE', 'CHAT_REFUSED', 'NO_TOKEN'].includes(e.code);

/** @throws HuacayaError of the engine or the disk; what was answered until then is in the file. */
export async function runBatch(out: Output, g: Generation, options: BatchOptions): Promise<BatchResult> {
  const { records, settings, answered, file, signal } = options;
  const { assistant, model, knobs } = g;
  const rows = records.map((record, i) => ({ record, row: i + 1 })).filter(({ row }) => !answered.has(row));
  const begin = performance.now();
  const result: BatchResult = {
    answered: 0,
    skipped: records.length - rows.length,
    failed: 0,
    stopped: false,
    tokens: 0,
  };

  const answer = async ({ record, row }: (typeof rows)[number]): Promise<Outcome> => {
    if (signal.aborted) return { row, stopped: true };
    const { instruction, input, output: reference } = record;
    try {
      const prompt = assistant.instructionPrompt(model.id, { instruction, input });
      const made = await ask({ assistant, model, prompt, knobs, signal });
      if (made.finish === 'aborted') return { row, stopped: true };
      // What was cached depends on the run: the lines of a row are the same in every run.
      const { text, cachedTokens, ...about } = answerJson(assistant.tokenizer, model, made);
      const line = { row, key: keyOf(record), settings, instruction, input, output: made.text, ...about };
      const whole: AnswerLine = reference ? { ...line, reference } : line;
      await file?.append(whole);
      return { row, line: whole, made };
    } catch (error) {
      if (isAboutRow(error)) return { row, error };
      throw error;
    }
  };

  const milestone = Math.max(1, Math.floor(rows.length / 20));
  for await (const outcome of inOrder(rows, assistant.generator.info.slots, answer)) {
    if ('stopped' in outcome) {
      result.stopped = true;
      // Those that had ended already are in the file.
      continue;
    }
    if ('error' in outcome) {
      result.failed++;
      out.warn(`row ${outcome.row}: ${outcome.error.message}`);
    } else {
      result.answered++;
      result.tokens += outcome.made.ids.length;
      if (!file) out.data(encodeLine(outcome.line));
    }
    const done = result.answered + result.failed;
    const seconds = (performance.now() - begin) / 1000;
    const line = [
      `${result.skipped + done}/${records.length} rows`,
      `${(result.tokens / seconds).toFixed(0)} tok/s`,
      `eta ${clock(((rows.length - done) * seconds) / done)}`,
    ];
    out.progress(line.join('  '), done % milestone === 0 || done === rows.length);
  }
  return result;
}
