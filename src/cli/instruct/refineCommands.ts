// huacaya instruct answer, judge, evolve: what a teacher can do with tasks that are there.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { usageError } from '../../base/index.ts';
import { writeFileAtomic } from '../../base/node.ts';
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
import { addRefineFlags, numberFlag, type RefineFlags, type RefineWork, refine, say } from './refineSetup.ts';

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
      const answered = await answers(w, w.tasks, flags, n);
      if (n === 1 || flags.keep === 'all') return writeAll(w, answered);
      const marks = await marksOf(w, answered);
      if (flags.keep === 'best') {
        const rows = answered.flatMap((task, i) => bestAnswer(task, marks[i]!, least) ?? []);
        const path = join(w.folder, 'alpaca_data.json');
        await writeFileAtomic(path, asJson(rows));
        return say(w, path, rows.length, { 'without an answer of that score': answered.length - rows.length });
      }
      const pairs = answered.flatMap((task, i) => preferencePair(task, marks[i]!, margin) ?? []);
      const path = join(w.folder, 'preferences.jsonl');
      await writeFileAtomic(path, asLines(pairs));
      say(w, path, pairs.length, { 'without two answers so far apart': answered.length - pairs.length });
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
  const path = join(w.folder, 'alpaca_data.json');
  await writeFileAtomic(path, asJson(rows));
  say(w, path, rows.length, dropped);
}

async function marksOf(w: RefineWork, answered: readonly Answered[]): Promise<Mark[][]> {
  const flat = answered.flatMap(({ instruction, input, answers: all }) =>
    all.map(({ text }) => ({ instruction, input, output: text })),
  );
  const marks = await judgeTasks(w.teacher, flat, w.prompts, w.ask('marks'));
  // Every task has as many answers as the others.
  const n = flat.length / Math.max(1, answered.length);
  return answered.map((_, i) => marks.slice(i * n, (i + 1) * n));
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
      await writeFileAtomic(join(w.folder, 'scores.jsonl'), asLines(scored));
      const rows = w.tasks.filter((_, i) => (marks[i]?.score ?? 0) >= least);
      const path = join(w.folder, 'alpaca_data.json');
      await writeFileAtomic(path, asJson(rows));
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
        for (const { instruction } of w.tasks) dedupe.add(instruction);
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
