// huacaya instruct: seeds + a teacher -> training data.
import { join } from 'node:path';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { type Estimate, estimate, type Recipe, type Summary } from '../../selfinstruct/index.ts';
import { type RunFolder, readInputs, runInstruct, type TeacherEvent } from '../../selfinstruct/node.ts';
import { batchCommand } from '../instruct/batchCommand.ts';
import { checkCommand } from '../instruct/checkCommand.ts';
import { Panel, reasonsOf } from '../instruct/panel.ts';
import { addRecipeFlags, packageFolders, type RecipeFlags, resolveRecipe } from '../instruct/recipe.ts';
import { answerCommand, evolveCommand, judgeCommand } from '../instruct/refineCommands.ts';
import { reportCommand } from '../instruct/reportCommand.ts';
import { endpointsWithKeys, openTeacher } from '../instruct/teacher.ts';
import type { Output } from '../output.ts';

interface InstructFlags extends RecipeFlags {
  out?: string;
  dryRun?: boolean;
}

export function instructCommand(getOutput: () => Output): Command {
  const command = new Command('instruct')
    .description('make training data with a teacher, from a few seed tasks (self-instruct)')
    .option('--out <folder>', 'run folder; one that is there is gone on with (default: runs/instruct-<time>)')
    .option('--dry-run', 'show the first prompt and an estimate of the cost, and stop');
  addRecipeFlags(command);
  command.addCommand(batchCommand(getOutput, finish)).addCommand(reportCommand(getOutput));
  for (const make of [answerCommand, judgeCommand, evolveCommand, checkCommand]) command.addCommand(make(getOutput));
  command.addHelpText(
    'after',
    `
Nothing that was paid is lost: a run that was stopped, killed or out of budget goes on with the same --out.
Keys are read from the environment only. The result is <out>/alpaca_data.json.

Examples:
  huacaya instruct --model gpt-4.1-mini --prices 0.40,1.60 --budget 5 --num 1000 --out runs/mine
  huacaya instruct --model llama3.1:8b --base-url http://127.0.0.1:11434/v1 --out runs/local
  huacaya instruct --language zh --model qwen3-8b --base-url http://127.0.0.1:8000/v1 --num 500
  huacaya instruct --pipeline self-instruct --style faithful --api completions --model my-base --base-url ...
  huacaya instruct --out runs/mine --num 2000 --budget 10     (more of the same)
  huacaya instruct answer --data-path mine.jsonl --n 4 --keep pairs --model ... --out runs/pairs
  huacaya instruct judge --data-path runs/mine/alpaca_data.json --min-score 4 --model ... --out runs/good
  huacaya train --data-path runs/mine/alpaca_data.json --base-model smollm2-135m-instruct`,
  );
  command.action(async (flags: InstructFlags) => {
    const out = getOutput();
    const folder = flags.out ?? join('runs', `instruct-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-')}`);
    const recipe = await resolveRecipe(folder, flags);
    const inputs = await readInputs(folder, recipe, packageFolders);
    const expected = estimate({ recipe, ...inputs });
    if (flags.dryRun) {
      showEstimate(out, recipe, expected);
      return;
    }
    await execute(out, recipe, inputs, expected);
  });
  return command;
}

const whole = (n: number) => Math.round(n).toLocaleString('en');

const about = ({ requests, promptTokens, completionTokens, cost }: Estimate) =>
  `about ${whole(requests)} requests, ${whole(promptTokens)} tokens in and ${whole(completionTokens)} out` +
  (cost === undefined ? '' : `, cost ${cost.toFixed(2)}`);

function showEstimate(out: Output, recipe: Recipe, expected: Estimate): void {
  const { first, ...numbers } = expected;
  const text = typeof first.prompt === 'string' ? first.prompt : JSON.stringify(first.prompt, null, 2);
  if (out.format === 'json') {
    out.json({ type: 'dry-run', prompt: text, sampling: first.sampling, schema: first.schema, ...numbers, recipe });
    return;
  }
  out.data(text);
  out.say(`sampling  ${JSON.stringify(first.sampling)}${first.schema ? ', JSON by schema' : ''}`);
  out.say(`estimate  ${about(expected)}`);
  if (recipe.endpoints.length > 0 && expected.cost === undefined) out.say('no prices are given: --prices in,out');
}

function teacherNote(event: TeacherEvent): string | undefined {
  if (event.type === 'retry') return `${event.reason}; again in ${(event.waitMs / 1000).toFixed(1)} s`;
  if (event.type === 'paused') {
    const { endpoint, waitMs, reason } = event;
    // A reason begins with the endpoint.
    const why = reason.replace(`${endpoint}: `, '');
    return `${endpoint} ${waitMs === undefined ? 'gets no more requests' : `rests ${Math.ceil(waitMs / 1000)} s`}: ${why}`;
  }
  if (event.type === 'adapted') return `${event.endpoint}: asked without ${event.what} from now on`;
  if (event.type === 'refused') return `${event.endpoint} refuses ${event.id}: ${event.reason}`;
  if (event.type === 'usage-missing') return `${event.endpoint}: does not say what it used; counted by bytes`;
  return undefined;
}

async function execute(out: Output, recipe: Recipe, inputs: RunFolder, expected: Estimate): Promise<void> {
  const endpoints = endpointsWithKeys(recipe);
  out.say(`teacher   ${recipe.endpoints.map(({ model, base_url }) => `${model} at ${base_url}`).join('; ')}`);
  out.say(
    `seeds     ${inputs.seeds.length}, ${inputs.prompts.language.name}; pipeline ${recipe.pipeline}, ${recipe.style}`,
  );
  if (inputs.before.length > 0) out.say(`continues ${inputs.before.length} tasks that are there`);
  out.say(`plan      ${recipe.num} ${recipe.pipeline === 'alpaca' ? 'tasks' : 'instructions'}: ${about(expected)}`);
  out.say(`run       ${inputs.path}`);
  const stop = new AbortController();
  const panel = new Panel(out, { priced: endpoints.some(({ price }) => price !== undefined), budget: recipe.budget });
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    panel.note('waiting for the answers that are under way, for they are paid; press Ctrl-C again to leave at once');
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const summary = await runInstruct({
      inputs,
      recipe,
      recipeText: stringify(recipe),
      signal: stop.signal,
      openTeacher: (folder) =>
        openTeacher(recipe, endpoints, folder, (event) => {
          const note = teacherNote(event);
          if (note !== undefined) panel.note(note);
        }),
      onProgress(progress) {
        panel.update(progress);
        out.json({ type: 'progress', ...progress });
      },
    });
    panel.end();
    finish(out, inputs.path, summary);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

function finish(out: Output, folder: string, summary: Summary): void {
  const { accepted, rows, acceptance, rejected, spent, complete } = summary;
  const file = join(folder, 'alpaca_data.json');
  const cost = spent.cost > 0 ? `, cost ${spent.cost.toFixed(2)}` : '';
  out.say(`accepted  ${whole(accepted)} (${Math.round(100 * acceptance)} % of what was offered), ${whole(rows)} rows`);
  if (Object.keys(rejected).length > 0) out.say(`rejected  ${reasonsOf(rejected, 20)}`);
  out.say(
    `spent     ${whole(spent.requests)} requests, ${whole(spent.promptTokens + spent.completionTokens)} tokens${cost}`,
  );
  if (out.format === 'human') out.data(file);
  out.json({ type: 'done', folder, data: file, ...summary });
  if (complete) {
    out.say(`next: huacaya train --data-path ${file} --base-model smollm2-135m-instruct`);
    return;
  }
  out.say(`stopped; what is there is written. Go on: huacaya instruct --out ${folder}`);
  process.exitCode = 130;
}
