// The recipe of a run: flag > --recipe > what the run was started with > recipes/instruct.yaml.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { usageError } from '../../base/index.ts';
import { changedKeys, type Recipe, recipeKeys, recipeSchema, settled } from '../../selfinstruct/index.ts';
import { isRun, recipeFile } from '../../selfinstruct/node.ts';
import { readYamlSettings } from '../yamlSettings.ts';

// Three levels up is the package's root both from src/cli/instruct and from dist/cli/instruct.
const root = fileURLToPath(new URL('../../../', import.meta.url));

export const packageFolders = { seeds: join(root, 'seeds'), prompts: join(root, 'templates', 'instruct') };

/** Flags that are a key of the recipe. */
const keyFlags = [
  'pipeline',
  'style',
  'language',
  'templates',
  'seeds',
  'continue_from',
  'num',
  'seed',
  'lookahead',
  'prompt_tasks',
  'machine_tasks',
  'tasks_per_request',
  'topics',
  'structured',
  'classification_only',
  'max_instances',
  'include_seeds',
  'sample_instructions',
] as const;

/** Flags that set something inside a key. */
export interface RecipeFlags {
  recipe?: string;
  model?: string;
  baseUrl?: string;
  api?: string;
  apiKeyEnv?: string;
  prices?: string;
  concurrency?: string;
  timeout?: string;
  structuredOutput?: string;
  budget?: string;
  budgetTokens?: string;
  maxTokens?: string;
  temperature?: string;
  threshold?: string;
  dedupe?: string;
  [key: string]: unknown;
}

const kebab = (name: string) => name.replaceAll('_', '-');
const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

export function addRecipeFlags(command: Command): Command {
  command
    .option('--recipe <file>', 'settings in YAML, over recipes/instruct.yaml')
    .option('--model <name>', 'the teacher, as its server calls it')
    .option('--base-url <url>', 'where the teacher is (default: https://api.openai.com/v1)')
    .option('--api <kind>', 'chat or completions (default: chat)')
    .option('--api-key-env <name>', 'variable with the key (default for api.openai.com: OPENAI_API_KEY; else no key)')
    .option('--prices <in,out>', 'of a million tokens read and written, e.g. 0.40,1.60')
    .option('--concurrency <n>', 'requests under way at a time (default: 8)')
    .option('--timeout <seconds>', 'until a request is asked again (default: 300)')
    .option('--structured-output <how>', 'the endpoint takes JSON schemas: auto, true or false')
    .option('--budget <amount>', 'most to spend, in the currency of the prices')
    .option('--budget-tokens <n>', 'most tokens, read and written')
    .option('--max-tokens <n>', 'longest answer')
    .option('--temperature <t>', 'of the requests for new tasks')
    .option('--dedupe <mode>', 'rouge, minhash or none')
    .option('--threshold <f>', 'ROUGE-L F above which a task is too near to another');
  for (const key of keyFlags) {
    const value = ['topics', 'classification_only', 'include_seeds'].includes(key) ? '[bool]' : '<value>';
    command.addOption(new Option(`--${kebab(key)} ${value}`, recipeSchema.shape[key].description));
  }
  return command;
}

const given = (values: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** One endpoint out of flags, over the only one of the recipe. */
function endpointsOf(flags: RecipeFlags, before: unknown): unknown {
  const set = given({
    model: flags.model,
    base_url: flags.baseUrl,
    api: flags.api,
    api_key_env: flags.apiKeyEnv,
    prices: flags.prices === undefined ? undefined : pricesOf(flags.prices),
    concurrency: flags.concurrency,
    timeout: flags.timeout,
    structured_output: flags.structuredOutput,
  });
  const list = Array.isArray(before) ? before : [];
  if (Object.keys(set).length === 0) return list;
  if (list.length > 1) {
    throw usageError('the recipe names several endpoints: change them there', 'Flags such as --model are for one.');
  }
  return [{ base_url: 'https://api.openai.com/v1', ...list[0], ...set }];
}

function pricesOf(text: string): { input: number; output: number } {
  const [input, output, ...rest] = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (rest.length > 0 || !(input! >= 0) || !(output! >= 0)) {
    throw usageError(`--prices is "${text}"`, 'Write two numbers, e.g. --prices 0.40,1.60.');
  }
  return { input: input!, output: output! };
}

/**
 * @param folder where the run is or will be.
 * @throws HuacayaError USAGE naming the setting, also where a run would go on with other ones.
 */
export async function resolveRecipe(folder: string, flags: RecipeFlags): Promise<Recipe> {
  const started = isRun(folder) ? await readYamlSettings(join(folder, recipeFile), recipeKeys) : undefined;
  const file = flags.recipe;
  if (file !== undefined && !existsSync(file)) throw usageError(`${file}: no such recipe`);
  const base = started ?? (await readYamlSettings(join(root, 'recipes', 'instruct.yaml'), recipeKeys));
  const over = file === undefined ? {} : await readYamlSettings(file, recipeKeys);
  const merged: Record<string, unknown> = {
    ...base,
    ...over,
    ...given(Object.fromEntries(keyFlags.map((key) => [key, flags[camel(key)]]))),
  };
  // A file may set a part of a part; a key that stands alone ("budget:") is null.
  const part = (key: string) => ({ ...(base[key] as object | null), ...(over[key] as object | null) });
  merged.endpoints = endpointsOf(flags, merged.endpoints);
  merged.budget = { ...part('budget'), ...given({ cost: flags.budget, tokens: flags.budgetTokens }) };
  merged.sampling = {
    ...part('sampling'),
    ...given({ max_tokens: flags.maxTokens, temperature: flags.temperature }),
  };
  merged.filters = part('filters');
  merged.dedupe = { ...part('dedupe'), ...given({ mode: flags.dedupe, threshold: flags.threshold }) };
  const recipe = settled(parse(merged));
  if (started === undefined) return recipe;
  const before = parse(started);
  const [changed] = changedKeys(before, recipe);
  if (changed !== undefined) {
    const [was, now] = [before, recipe].map((r) => JSON.stringify(r[changed]));
    throw usageError(
      `${folder}: this run was started with ${changed} ${was}, and cannot go on with ${now}`,
      'Leave the setting out, or choose another --out. Only number, endpoints and budget may change.',
    );
  }
  return recipe;
}

function parse(merged: Record<string, unknown>): Recipe {
  const parsed = recipeSchema.safeParse(merged);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const name = issue.path.join('.');
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    merged,
  );
  if (issue.code === 'unrecognized_keys') throw usageError(`${name}: unknown key "${issue.keys[0]}"`);
  if (value === undefined) throw usageError(`${name} is missing`, 'Give it by flag, or set it in the recipe.');
  // What was written there may be a secret.
  const secret = issue.path.at(-1) === 'api_key_env' || (typeof value === 'string' && /:\/\/[^/]*@/.test(value));
  throw usageError(secret ? `${name}: ${issue.message}` : `${name} is ${JSON.stringify(value)}: ${issue.message}`);
}
