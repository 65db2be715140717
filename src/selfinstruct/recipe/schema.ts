// A recipe: everything that decides what a run asks and takes. One schema checks the YAML file and the flags.
import { z } from 'zod';

/** From the command line numbers come as text; nothing else is turned into one. */
const number = (check: z.ZodNumber = z.number()) =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value), check);
const count = (least: number) => number(z.number().int().min(least));
const trueOrFalse = [z.boolean(), z.enum(['true', 'false']).transform((s) => s === 'true')] as const;
const flag = z.union(trueOrFalse, { error: 'write true or false' });
const autoOrFlag = z.union([z.literal('auto'), ...trueOrFalse], { error: 'write auto, true or false' });

/** Secrets have no place in it: it stands in recipe.yaml and in messages, and fetch does not take them. */
function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return username === '' && password === '';
}

const endpointSchema = z.strictObject({
  base_url: z
    .string()
    .regex(/^https?:\/\//, 'write a URL such as https://api.openai.com/v1')
    .refine(isPlainUrl, 'write a URL such as https://api.openai.com/v1, without a name and password'),
  model: z.string().min(1),
  api: z.enum(['chat', 'completions']).default('chat'),
  /** Share of the requests, beside the other endpoints. */
  weight: number(z.number().positive()).default(1),
  /** Requests under way at a time. */
  concurrency: count(1).default(8),
  /** Seconds until a request is given up and asked again. */
  timeout: number(z.number().positive()).default(300),
  /** Name of the environment variable with the key; without one, no key is sent. */
  api_key_env: z
    .string()
    .regex(/^[A-Za-z_]\w*$/, 'write the NAME of an environment variable; keys do not belong into files')
    .optional(),
  /** Understands response_format json_schema; auto: until it is refused. */
  structured_output: autoOrFlag.default('auto'),
  /** Per million tokens. */
  prices: z.strictObject({ input: number(z.number().min(0)), output: number(z.number().min(0)) }).optional(),
  /** Pays heed to Idempotency-Key. */
  idempotent: flag.default(false),
  /** Sent as it is with every request, e.g. reasoning_effort: low. */
  extra_body: z.record(z.string(), z.unknown()).optional(),
});

export const recipeSchema = z.strictObject({
  pipeline: z.enum(['alpaca', 'self-instruct']).describe('alpaca: one stage; self-instruct: four stages'),
  style: z.enum(['improved', 'faithful']).describe('faithful: sampling, filters and parsing as published'),
  language: z
    .string()
    .regex(/^[\w-]+$/)
    .describe('en, zh, or with --templates any other'),
  templates: z.string().optional().describe('folder of prompts, instead of templates/instruct/<language>'),
  seeds: z.string().optional().describe('seed tasks: seed_tasks.jsonl, or rows of instruction, input, output'),
  continue_from: z
    .string()
    .optional()
    .describe('accepted tasks of another run: regen.json, machine_generated_instructions.jsonl, or their folder'),
  num: count(1).describe('tasks to make; with self-instruct: instructions'),
  seed: number(z.number().int()).describe('seed of everything random'),
  lookahead: count(1).describe('requests that are written ahead of the answers; decides the result, so it stays'),
  prompt_tasks: count(1).describe('tasks shown in a prompt'),
  machine_tasks: count(0).describe('how many of these are taken from the accepted ones'),
  tasks_per_request: count(1).describe('tasks asked for in one request, the shown ones included'),
  topics: flag.describe('ask for the subjects and verbs that are rare so far'),
  structured: autoOrFlag.describe(
    'JSON answers by schema; auto: where every endpoint is a chat one that may have them',
  ),
  classification_only: flag.describe('self-instruct: only classification tasks, as --use_clf_seed_tasks_only'),
  max_instances: count(1).describe('self-instruct: instances an instruction'),
  include_seeds: flag.describe('self-instruct: seed tasks go into the fine-tuning data too'),
  sample_instructions: count(1).optional().describe('self-instruct: fine-tuning data of so many instructions only'),
  sampling: z
    .strictObject({
      temperature: number(z.number().min(0).max(2)).optional(),
      top_p: number(z.number().min(0).max(1)).optional(),
      max_tokens: count(1).optional(),
      presence_penalty: number(z.number().min(-2).max(2)).optional(),
      frequency_penalty: number(z.number().min(-2).max(2)).optional(),
    })
    .describe('over the settings of pipeline and style, for the stage that makes tasks'),
  dedupe: z.strictObject({
    mode: z.enum(['rouge', 'minhash', 'none']),
    threshold: number(z.number().min(0).max(1)),
    /** exact: the ten nearest and the mean to all, as published; nearest and decision are faster. */
    details: z.enum(['exact', 'nearest', 'decision']),
  }),
  filters: z
    .strictObject({
      min_words: count(0).optional(),
      max_words: count(1).optional(),
      keywords: z.array(z.string().min(1)).optional(),
    })
    .describe('over those of language and style'),
  endpoints: z.array(endpointSchema).describe('where the teacher is; several share the requests by weight'),
  budget: z
    .strictObject({
      cost: number(z.number().positive()).optional(),
      tokens: count(1).optional(),
    })
    .describe('most to spend, in the currency of the prices; most tokens, in and out'),
});

export type Recipe = z.infer<typeof recipeSchema>;
export type RecipeEndpoint = z.infer<typeof endpointSchema>;
export type RecipeKey = keyof Recipe;
export const recipeKeys = Object.keys(recipeSchema.shape) as RecipeKey[];

/** What may change when a run goes on: how much, from whom, and for how much. */
const changeable: readonly RecipeKey[] = ['num', 'endpoints', 'budget', 'sample_instructions', 'include_seeds'];

/** Whether every endpoint continues texts, as the models of the published pipelines did. */
export const onlyCompletions = ({ endpoints }: Pick<Recipe, 'endpoints'>): boolean =>
  endpoints.length > 0 && endpoints.every(({ api }) => api === 'completions');

/** A recipe without `auto`: what is decided when a run starts stays. */
export function settled(recipe: Recipe): Recipe & { structured: boolean } {
  const able =
    recipe.endpoints.length > 0 &&
    recipe.endpoints.every(({ api, structured_output }) => api === 'chat' && structured_output !== false);
  const structured = recipe.style === 'improved' && (recipe.structured === 'auto' ? able : recipe.structured);
  return { ...recipe, structured };
}

/** Keys of which a run holds one value and is asked to go on with another, that would ask something else. */
export function changedKeys(before: Recipe, now: Recipe): RecipeKey[] {
  const changed = recipeKeys.filter(
    (key) => !changeable.includes(key) && JSON.stringify(before[key]) !== JSON.stringify(now[key]),
  );
  const other = before.style === 'faithful' && onlyCompletions(before) !== onlyCompletions(now);
  return other ? [...changed, 'endpoints'] : changed;
}
