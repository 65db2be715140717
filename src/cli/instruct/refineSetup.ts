// What `instruct answer`, `judge` and `evolve` share: tasks, a teacher with its journal, prompts, progress.
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { usageError } from '../../base/index.ts';
import { fileError, writeFileAtomic } from '../../base/node.ts';
import { readRecords } from '../../data/node.ts';
import type {
  AskOptions,
  PromptSet,
  Recipe,
  RefinePrompts,
  Spending,
  Task,
  Teacher,
} from '../../selfinstruct/index.ts';
import { isRun, loadPromptSet, loadRefinePrompts } from '../../selfinstruct/node.ts';
import { interruptible } from '../interruptible.ts';
import type { Output } from '../output.ts';
import { packageFolders, type RecipeFlags, resolveRecipe } from './recipe.ts';
import { endpointsWithKeys, openTeacher } from './teacher.ts';

export interface RefineFlags extends RecipeFlags {
  out?: string;
  dataPath?: string;
  limit?: string;
  refinePrompts?: string;
}

export interface RefineWork {
  out: Output;
  recipe: Recipe;
  tasks: readonly Task[];
  prompts: RefinePrompts;
  /** Of the language. */
  set: PromptSet;
  teacher: Teacher;
  folder: string;
  /** Ctrl-C. */
  signal: AbortSignal;
  /** For every question to the teacher; `what` is shown. */
  ask(what: string): AskOptions;
}

const templates = fileURLToPath(new URL('../../../templates/refine/', import.meta.url));

/** Flags beside those of the recipe, which stand before the subcommand or behind it. */
export const addRefineFlags = (command: Command): Command =>
  command
    .requiredOption('--data-path <file>', 'tasks: Alpaca JSON or JSON Lines')
    .option('--limit <n>', 'only the first rows')
    .option('--refine-prompts <folder>', 'prompts of your own, instead of templates/refine/<language>')
    .exitOverride();

/**
 * Runs `work` with everything open. Answers that were paid are in the journal of --out: the same call goes on.
 * @param questionsOnly rows need no output.
 */
export async function refine(
  out: Output,
  command: Command,
  questionsOnly: boolean,
  work: (w: RefineWork, flags: RefineFlags) => Promise<void>,
): Promise<void> {
  const flags = command.optsWithGlobals<RefineFlags>();
  const { out: folder, dataPath } = flags;
  if (folder === undefined) throw usageError('--out is missing', 'Name a folder for the results and the journal.');
  checkFolder(folder, dataPath!);
  const recipe = await resolveRecipe(folder, flags);
  const prompts = await loadRefinePrompts(flags.refinePrompts ?? join(templates, recipe.language));
  const set = await loadPromptSet(recipe.templates ?? join(packageFolders.prompts, recipe.language));
  const tasks = await tasksOf(dataPath!, flags.limit, questionsOnly);
  const endpoints = endpointsWithKeys(recipe);
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw fileError(folder, cause);
  });
  await interruptible(out, 'Answers that were paid are kept.', async (signal) => {
    const teacher = openTeacher(recipe, endpoints, folder, (event) => {
      if (event.type === 'retry') out.warn(event.reason);
    });
    const ask = (what: string): AskOptions => ({
      signal,
      // No prompt depends on an earlier answer: as many as the endpoints take.
      lookahead: Math.max(
        16,
        recipe.endpoints.reduce((sum, { concurrency }) => sum + concurrency, 0),
      ),
      onAnswer: (done, total) => out.progress(`${what}  ${done} of ${total}`, done === total),
    });
    try {
      await work({ out, recipe, tasks, prompts, set, teacher, folder, signal, ask }, flags);
      signal.throwIfAborted();
    } finally {
      await teacher.close();
    }
  });
}

/** Results must not go over the data that they come from, which has been paid for too. */
function checkFolder(folder: string, dataPath: string): void {
  const over = resolve(dirname(dataPath)) === resolve(folder) ? dataPath : undefined;
  if (!isRun(folder) && over === undefined) return;
  throw usageError(
    over === undefined ? `${folder}: holds a run, whose data would be overwritten` : `${over}: lies in --out itself`,
    'Choose another folder for the results.',
  );
}

/** Writes a result, unless Ctrl-C came: what is there by then is a part only. @returns its path. */
export async function save({ folder, signal }: RefineWork, name: string, text: string): Promise<string> {
  signal.throwIfAborted();
  const path = join(folder, name);
  await writeFileAtomic(path, text);
  return path;
}

async function tasksOf(path: string, limit: string | undefined, questionsOnly: boolean): Promise<Task[]> {
  const { records } = await readRecords(path, { questionsOnly });
  const most = numberFlag('limit', limit, { fallback: records.length, least: 1 });
  if (records.length === 0) throw usageError(`${path}: holds no rows`);
  return records.slice(0, most).map(({ instruction, input, output }) => ({ instruction, input, output }));
}

/** @throws HuacayaError USAGE unless it is a whole number in range. */
export function numberFlag(
  name: string,
  text: string | undefined,
  { fallback, least, most = Number.MAX_SAFE_INTEGER }: { fallback: number; least: number; most?: number },
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
  throw usageError(`--${name} is "${text}"`, `Write a whole number, ${range}.`);
}

export function say(w: RefineWork, path: string, rows: number, dropped: Readonly<Record<string, number>>): void {
  const { out, teacher } = w;
  const spent: Spending = teacher.spent();
  const left = Object.entries(dropped).filter(([, n]) => n > 0);
  out.say(
    `written   ${rows} rows${left.length ? `; left out: ${left.map(([why, n]) => `${n} ${why}`).join(', ')}` : ''}`,
  );
  const cost = spent.cost > 0 ? `, cost ${spent.cost.toFixed(2)}` : '';
  out.say(`spent     ${spent.requests} requests, ${spent.promptTokens + spent.completionTokens} tokens${cost}`);
  if (out.format === 'human') out.data(path);
  out.json({ type: 'done', data: path, rows, dropped, spent });
}
