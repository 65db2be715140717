// A run is a folder: recipe, seeds and prompts as they were at its start, the teacher's journal, and the results.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HuacayaError, usageError } from '../../base/index.ts';
import { fileError, writeFileAtomic } from '../../base/node.ts';
import { parseRegen } from '../files/alpacaFiles.ts';
import { formatSeedTasks, parseSeedTasks } from '../files/seedTasks.ts';
import { parseClassified, parseMachineInstructions, parseRawInstances } from '../files/selfInstructFiles.ts';
import { loadPromptSet } from '../prompts/loadPromptSet.ts';
import type { PromptSet } from '../prompts/promptSet.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { Accepted, SeedTask } from '../task.ts';
import type { EarlierSelfInstruct } from './selfInstruct.ts';

export const recipeFile = 'recipe.yaml';
const seedsFile = 'seed_tasks.jsonl';
const promptsFolder = 'prompts';
const earlierFolder = 'continued';

export interface RunFolder {
  path: string;
  prompts: PromptSet;
  seeds: SeedTask[];
  before: Accepted[];
  earlier: EarlierSelfInstruct;
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause) => {
    throw fileError(path, cause);
  });
}

/** Whether a run was started here: the recipe is the last file that a start writes. */
export const isRun = (folder: string): boolean => existsSync(join(folder, recipeFile));

/** The file of accepted tasks that the original scripts keep in a folder. */
const stateFile = (pipeline: Recipe['pipeline']) =>
  pipeline === 'alpaca' ? 'regen.json' : 'machine_generated_instructions.jsonl';

/** What an earlier run left, by file name: one file, or what is known of a folder. */
async function readEarlier(path: string, pipeline: Recipe['pipeline']): Promise<Record<string, string>> {
  const info = await stat(path).catch((cause) => {
    throw fileError(path, cause);
  });
  const main = stateFile(pipeline);
  if (!info.isDirectory()) return { [main]: await readText(path) };
  const names = (await readdir(path)).filter(
    (name) =>
      name === main ||
      (pipeline === 'self-instruct' &&
        (/^is_clf_or_not_.*\.jsonl$/.test(name) || name === 'machine_generated_instances.jsonl')),
  );
  if (!names.includes(main)) {
    throw usageError(`${path}: holds no ${main} to go on from`, 'Name the file or folder of a run of this pipeline.');
  }
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readText(join(path, name))])));
}

function parseEarlier(files: Readonly<Record<string, string>>): Pick<RunFolder, 'before' | 'earlier'> {
  const all = <T>(pattern: RegExp, parse: (name: string, text: string) => T[]): T[] =>
    Object.entries(files)
      .filter(([name]) => pattern.test(name))
      .flatMap(([name, text]) => (text.trim() === '' ? [] : parse(name, text)));
  const instructions = all(/^machine_generated_instructions/, parseMachineInstructions);
  const fromInstructions = instructions.map(({ instruction, nearest, mean }) => ({
    instruction,
    input: '',
    output: '',
    request: -1,
    nearest,
    mean,
  }));
  return {
    before: [...all(/^regen\.json$/, parseRegen), ...fromInstructions],
    earlier: {
      instructions,
      classified: all(/^is_clf_or_not_/, parseClassified),
      instances: all(/^machine_generated_instances/, parseRawInstances),
    },
  };
}

/** Seeds and prompts of the package, for a recipe that names none. */
export interface PackageFolders {
  seeds: string;
  prompts: string;
}

/** What a run in this folder works with: from the folder where one was started, else from where the recipe says. Writes nothing. */
export async function readInputs(folder: string, recipe: Recipe, from: PackageFolders): Promise<RunFolder> {
  if (isRun(folder)) {
    const earlier = join(folder, earlierFolder);
    return {
      path: folder,
      prompts: await loadPromptSet(join(folder, promptsFolder)),
      seeds: parseSeedTasks(join(folder, seedsFile), await readText(join(folder, seedsFile))),
      ...parseEarlier(existsSync(earlier) ? await readEarlier(earlier, recipe.pipeline) : {}),
    };
  }
  const seedsPath = recipe.seeds ?? join(from.seeds, `${recipe.language}.jsonl`);
  if (recipe.seeds === undefined && !existsSync(seedsPath)) {
    throw usageError(`there are no seed tasks for the language "${recipe.language}"`, 'Name a file with --seeds.');
  }
  // A folder that one of the original scripts was run in is gone on with.
  const here = existsSync(join(folder, stateFile(recipe.pipeline))) ? folder : undefined;
  if (here === undefined && existsSync(join(folder, 'alpaca_data.json'))) {
    throw usageError(
      `${folder}: holds an alpaca_data.json that is not of a run`,
      'Choose another --out: it would be lost.',
    );
  }
  const earlierPath = recipe.continue_from ?? here;
  return {
    path: folder,
    prompts: await loadPromptSet(recipe.templates ?? join(from.prompts, recipe.language)),
    seeds: seedsOf(recipe, parseSeedTasks(seedsPath, await readText(seedsPath))),
    ...parseEarlier(earlierPath === undefined ? {} : await readEarlier(earlierPath, recipe.pipeline)),
  };
}

function seedsOf({ classification_only }: Recipe, seeds: SeedTask[]): SeedTask[] {
  const chosen = classification_only ? seeds.filter(({ isClassification }) => isClassification) : seeds;
  if (chosen.length > 0) return chosen;
  throw new HuacayaError('SEED_EMPTY', 'none of the seed tasks is a classification task', {
    hint: 'Mark some with "is_classification": true, or leave --classification-only out.',
  });
}

/** Makes the folder of a new run hold everything that the run depends on. @param recipeText what recipe.yaml will hold. */
export async function startRun(run: RunFolder, recipe: Recipe, recipeText: string): Promise<void> {
  const { path, prompts, seeds } = run;
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw fileError(path, cause);
  });
  const here = existsSync(join(path, stateFile(recipe.pipeline))) ? path : undefined;
  const earlierPath = recipe.continue_from ?? here;
  if (earlierPath !== undefined) {
    const files = await readEarlier(earlierPath, recipe.pipeline);
    for (const [name, text] of Object.entries(files)) await writeFileAtomic(join(path, earlierFolder, name), text);
  }
  for (const [name, text] of Object.entries(prompts.files)) {
    await writeFileAtomic(join(path, promptsFolder, basename(name)), text);
  }
  await writeFileAtomic(join(path, seedsFile), formatSeedTasks(seeds, false));
  await writeFileAtomic(join(path, recipeFile), recipeText);
}
