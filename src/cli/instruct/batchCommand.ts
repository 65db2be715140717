// huacaya instruct batch prepare | submit | collect: the requests of a run through OpenAI's Batch API, for half the price.
import { Command } from 'commander';
import { stringify } from 'yaml';
import { HuacayaError, usageError } from '../../base/index.ts';
import { estimate, type Recipe, type Summary } from '../../selfinstruct/index.ts';
import {
  batchCollect,
  batchPrepare,
  batchSubmit,
  isRun,
  readInputs,
  replayInstruct,
  type TeacherEndpoint,
} from '../../selfinstruct/node.ts';
import type { Output } from '../output.ts';
import { packageFolders, type RecipeFlags, resolveRecipe } from './recipe.ts';
import { endpointsWithKeys, proxyOption } from './teacher.ts';

export type BatchFlags = RecipeFlags & { out?: string };

const help = `
In rounds, until there are enough:
  huacaya instruct batch prepare --model gpt-4.1-mini --prices 0.40,1.60 --num 5000 --out runs/batch
  huacaya instruct batch submit --out runs/batch
  huacaya instruct batch collect --out runs/batch     (within a day; as often as you like)
Or let the rest be asked at once, at full price: huacaya instruct --out runs/batch

The first round is written before anything is known, so its prompts show seeds only. --lookahead N makes smaller rounds,
whose prompts show what has been accepted in the rounds before.`;

/** @param flagsOf all flags of a command, those that stand before it included. */
export function batchCommand(
  getOutput: () => Output,
  finish: (out: Output, folder: string, s: Summary) => void,
): Command {
  const batch = new Command('batch').description("through OpenAI's Batch API: half the price, answers within a day");
  const add = (name: string, description: string, work: (out: Output, flags: BatchFlags) => Promise<void>) => {
    const command = new Command(name).description(description).exitOverride();
    command.action(() => work(getOutput(), command.optsWithGlobals<BatchFlags>()));
    batch.addCommand(command);
  };
  add('prepare', 'write the requests that a run needs next', (out, flags) => prepare(out, flags));
  add('submit', 'hand in what is prepared', (out, flags) => submit(out, flags));
  add('collect', 'fetch answers, and write the data that they bring', (out, flags) => collect(out, flags, finish));
  return batch.addHelpText('after', help).exitOverride();
}

const whole = (n: number) => Math.round(n).toLocaleString('en');

async function open({ out: folder, ...flags }: BatchFlags) {
  if (folder === undefined) throw usageError('--out is missing', 'Name the folder of the run.');
  const recipe = await resolveRecipe(folder, flags);
  const inputs = await readInputs(folder, recipe, packageFolders);
  const endpoints = endpointsWithKeys(recipe);
  if (endpoints.length > 1) throw usageError('a batch goes to one endpoint, but the recipe names several');
  return { folder, recipe, inputs, endpoint: endpoints[0]! };
}

/** Rounds as large as the run, unless --lookahead says otherwise: what a request shows must be known when it is written. */
function roundOf(recipe: Recipe, flags: BatchFlags, requests: number): Recipe {
  if (flags.lookahead !== undefined) return recipe;
  return { ...recipe, lookahead: Math.max(1, Math.min(50_000, requests)) };
}

async function prepare(out: Output, flags: BatchFlags): Promise<void> {
  const opened = await open(flags);
  const { folder, inputs, endpoint } = opened;
  const whole50 = estimate({ recipe: opened.recipe, ...inputs });
  const recipe = isRun(folder) ? opened.recipe : roundOf(opened.recipe, flags, whole50.requests);
  const { missing } = await replayInstruct({ inputs, recipe, recipeText: stringify(recipe) });
  const { files, requests, waiting, tokens, cost } = await batchPrepare(missing, folder, { endpoint });
  out.json({ type: 'prepared', folder, files, requests, waiting, tokens, cost });
  if (missing.length === 0) {
    out.say('nothing is missing: the run has all it asked for');
    return;
  }
  if (requests === 0) {
    out.say(`${whole(waiting)} requests are in batches already: huacaya instruct batch collect --out ${folder}`);
    return;
  }
  const price = endpoint.price ? `, cost ${cost.toFixed(2)} at most` : '';
  out.say(`prepared  ${whole(requests)} requests in ${files.length} files, ${whole(tokens)} tokens${price}`);
  out.say(`next: huacaya instruct batch submit --out ${folder}`);
}

const budgetOf = ({ budget: { cost, tokens } }: Recipe) => ({
  ...(cost === undefined ? {} : { cost }),
  ...(tokens === undefined ? {} : { tokens }),
});

/** What a folder without a run cannot do. */
async function openStarted(flags: BatchFlags): Promise<{ folder: string; recipe: Recipe; endpoint: TeacherEndpoint }> {
  if (flags.out !== undefined && !isRun(flags.out)) {
    throw new HuacayaError('FILE_NOT_FOUND', `${flags.out}: no run was started here`, {
      hint: 'Prepare one: huacaya instruct batch prepare --out FOLDER --model NAME --num N.',
    });
  }
  return open(flags);
}

async function submit(out: Output, flags: BatchFlags): Promise<void> {
  const { folder, recipe, endpoint } = await openStarted(flags);
  const { submitted, waiting } = await batchSubmit(folder, endpoint, { budget: budgetOf(recipe), ...proxyOption() });
  out.json({ type: 'submitted', folder, submitted, waiting });
  for (const { file, batchId, requests } of submitted) out.say(`${file}: ${whole(requests)} requests, ${batchId}`);
  if (submitted.length === 0) out.say(`nothing is prepared${waiting > 0 ? `; ${waiting} batches are under way` : ''}`);
  if (submitted.length + waiting > 0) out.say(`next: huacaya instruct batch collect --out ${folder}`);
}

async function collect(
  out: Output,
  flags: BatchFlags,
  finish: (out: Output, folder: string, summary: Summary) => void,
): Promise<void> {
  const { folder, recipe, endpoint } = await openStarted(flags);
  const collected = await batchCollect(folder, endpoint, proxyOption());
  for (const { file, status, completed, total, failed, reason } of collected.batches) {
    const bad = failed > 0 ? `, ${whole(failed)} failed` : '';
    out.say(`${file}: ${status}, ${whole(completed)} of ${whole(total)}${bad}${reason ? `: ${reason}` : ''}`);
  }
  for (const { id, reason } of collected.refused) out.warn(`${id} is given up: ${reason}`);
  const inputs = await readInputs(folder, recipe, packageFolders);
  const { summary, missing } = await replayInstruct({ inputs, recipe, recipeText: stringify(recipe) });
  out.json({ type: 'collected', folder, ...collected, missing: missing.length });
  if (collected.again > 0)
    out.say(`${whole(collected.again)} requests are prepared again, because they failed: submit them`);
  if (collected.waiting > 0) out.say(`${collected.waiting} batches are not done: collect again later`);
  if (summary?.complete) {
    finish(out, folder, summary);
    return;
  }
  if (summary) out.say(`accepted  ${whole(summary.accepted)} of ${whole(recipe.num)} so far`);
  if (collected.waiting > 0 || collected.again > 0) return;
  out.say(`more is needed: huacaya instruct batch prepare --out ${folder}, or huacaya instruct --out ${folder}`);
}
