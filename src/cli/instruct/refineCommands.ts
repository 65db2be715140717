// huacaya instruct answer, judge, evolve: what a teacher can do with tasks that are there.
import { Command, Option } from 'commander';
import { usageError } from '../../base/index.ts';
import {
  type Answered,
  answerTasks,
  bestAnswer,
  createFilter,
  type Direction,
  evolveTasks,
  isRefusal,
  judgeTasks,
  languageFilters,
  type Mark,
  preferencePair,
  pythonJson,
} from '../../selfinstruct/index.ts';
import { createDedupe } from '../../selfinstruct/node.ts';
import type { Output } from '../output.ts';
import { addRefineFlags, numberFlag, type RefineFlags, type RefineWork, refine, save, say } from './refineSetup.ts';

const asJson = (rows: unknown) => pythonJson(rows, { indent: 4, ascii: false });
const asLines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

interface AnswerFlags extends RefineFlags {
  n?: string;
  keep: 'best' | 'pairs' | 'all';
  minScore?: string;
  margin?: string;
  system?: string;
}

export function answerCommand(getOutput: () => Output): Command {
  const command = addRefineFlags(new Command('answer'))
    .description('answers of a teacher to your own instructions; of several, the best, or pairs for DPO')
    .option('--n <n>', 'answers a task (default: 1)')
    .addOption(
      new Option('--keep <what>', 'of several: the best one, pairs of a good and a bad one, or all')
        .choices(['best', 'pairs', 'all'])
        .default('best'),
    )
    .option('--min-score <score>', 'best: the judge gave at least (default: 3)')
    .option('--margin <points>', 'pairs: at least so far apart (default: 1)')
    .option('--system <text>', 'what the teacher is told before every task');
  return command.action(() =>
    refine(getOutput(), command, true, async (w, given) => {
      const flags = given as AnswerFlags;
      const n = numberFlag('n', flags.n, { fallback: 1, least: 1, most: 64 });
      const least = numberFlag('min-score', flags.minScore, { fallback: 3, least: 1, most: 5 });
      const margin = numberFlag('margin', flags.margin, { fallback: 1, least: 1, most: 4 });
      if (n === 1 && flags.keep === 'pairs') throw usageError('--keep pairs needs several answers', 'Add --n 4.');
      if (n === 1 && flags.minScore !== undefined) {
        throw usageError('--min-score needs several answers: one alone is not judged', 'Add --n 4, or use judge.');
      }
      const answered = await answers(w, w.tasks, flags, n);
      if (n === 1 || flags.keep === 'all') return writeAll(w, answered);
      const marks = await marksOf(w, answered, flags.keep === 'pairs');
      const unread = marks.filter((all) => all.every(({ score }) => score === undefined)).length;
      const left = (why: string, kept: number) => ({
        [why]: answered.length - kept - unread,
        'without a mark': unread,
      });
      if (flags.keep === 'best') {
        const rows = answered.flatMap((task, i) => bestAnswer(task, marks[i]!, least) ?? []);
        const path = await save(w, 'alpaca_data.json', asJson(rows));
        return say(w, path, rows.length, left('without an answer of that score', rows.length));
      }
      const pairs = answered.flatMap((task, i) => preferencePair(task, marks[i]!, margin) ?? []);
      const path = await save(w, 'preferences.jsonl', asLines(pairs));
      say(w, path, pairs.length, left('without two answers so far apart', pairs.length));
    }),
  );
}

function answers(w: RefineWork, tasks: Parameters<typeof answerTasks>[1], flags: AnswerFlags | RefineFlags, n: number) {
  const { temperature, max_tokens } = w.recipe.sampling;
  const { system } = flags as AnswerFlags;
  return answerTasks(w.teacher, tasks, {
    ...w.ask('answers'),
    n,
    ...(temperature === undefined ? {} : { temperature }),
    ...(max_tokens === undefined ? {} : { maxTokens: max_tokens }),
    ...(system ? { system } : {}),
  });
}

/** Every usable answer is a row. */
async function writeAll(w: RefineWork, answered: readonly Answered[]): Promise<void> {
  const dropped = { 'cut off': 0, refused: 0, empty: 0 };
  const rows = answered.flatMap(({ instruction, input, answers }) =>
    answers.flatMap(({ text, cut }) => {
      const why = cut ? 'cut off' : text === '' ? 'empty' : isRefusal(text, w.set.refusals) ? 'refused' : undefined;
      if (why) dropped[why]++;
      return why ? [] : [{ instruction, input, output: text }];
    }),
  );
  const path = await save(w, 'alpaca_data.json', asJson(rows));
  say(w, path, rows.length, dropped);
}

/** Marks of all answers; what can never be taken is not judged, for that costs. @param cutToo as the bad one of a pair. */
async function marksOf(w: RefineWork, answered: readonly Answered[], cutToo: boolean): Promise<Mark[][]> {
  const usable = ({ text, cut }: Answered['answers'][number]) => text !== '' && (cutToo || !cut);
  const flat = answered.flatMap(({ instruction, input, answers: all }) =>
    all.filter(usable).map(({ text }) => ({ instruction, input, output: text })),
  );
  const marks = await judgeTasks(w.teacher, flat, w.prompts, w.ask('marks'));
  let next = 0;
  const none: Mark = { score: undefined, text: '' };
  return answered.map(({ answers: all }) => all.map((answer) => (usable(answer) ? marks[next++] : undefined) ?? none));
}

export function judgeCommand(getOutput: () => Output): Command {
  const command = addRefineFlags(new Command('judge'))
    .description('marks from 1 to 5 for rows that are there, and only the good ones')
    .option('--min-score <score>', 'rows that stay (default: 4)');
  return command.action(() =>
    refine(getOutput(), command, false, async (w, flags) => {
      const given = (flags as { minScore?: string }).minScore;
      const least = numberFlag('min-score', given, { fallback: 4, least: 1, most: 5 });
      const marks = await judgeTasks(w.teacher, w.tasks, w.prompts, w.ask('marks'));
      const scored = marks.map(({ score, text }, i) => ({ ...w.tasks[i]!, score: score ?? null, reason: text }));
      await save(w, 'scores.jsonl', asLines(scored));
      const rows = w.tasks.filter((_, i) => (marks[i]?.score ?? 0) >= least);
      const path = await save(w, 'alpaca_data.json', asJson(rows));
      const unread = marks.filter(({ score }) => score === undefined).length;
      say(w, path, rows.length, { [`below ${least}`]: marks.length - rows.length - unread, 'without a mark': unread });
    }),
  );
}

export function evolveCommand(getOutput: () => Output): Command {
  const command = addRefineFlags(new Command('evolve'))
    .description('harder or rarer tasks out of those that are there, with answers')
    .addOption(
      new Option('--direction <which>', 'harder ones (deeper) or rarer ones (broader)')
        .choices(['deeper', 'broader'])
        .default('deeper'),
    );
  return command.action(() =>
    refine(getOutput(), command, true, async (w, flags) => {
      const { recipe, set } = w;
      const direction = flags.direction as Direction;
      const dedupe = createDedupe(recipe, set);
      try {
        // A harder task keeps most words of the one that it was made from.
        if (direction === 'broader') for (const { instruction } of w.tasks) dedupe.add(instruction);
        const filter = createFilter({ ...languageFilters(set), wholeTask: false });
        const settings = {
          ...w.ask('new tasks'),
          direction,
          prompts: w.prompts,
          refusals: set.refusals,
          filter,
          dedupe,
        };
        const { tasks, rejected } = await evolveTasks(w.teacher, w.tasks, settings);
        w.signal.throwIfAborted();
        w.out.say(`new       ${tasks.length} tasks${dropNote(rejected)}`);
        await writeAll(w, await answers(w, tasks, flags, 1));
      } finally {
        await dedupe.close();
      }
    }),
  );
}

const dropNote = (rejected: Readonly<Record<string, number>>) => {
  const all = Object.entries(rejected).map(([why, n]) => `${n} ${why.replaceAll('_', ' ')}`);
  return all.length ? `; left out: ${all.join(', ')}` : '';
};
