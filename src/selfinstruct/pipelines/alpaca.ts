// The pipeline of Stanford Alpaca: a few tasks in, twenty out, one request.
import { createRng } from '../../base/index.ts';
import { parseFaithfulTasks } from '../parse/faithfulTasks.ts';
import { looksStructured, parseJsonItems } from '../parse/jsonItems.ts';
import { isNoInput, type Labels } from '../parse/labels.ts';
import type { Parsed } from '../parse/parsed.ts';
import { parseTaskText } from '../parse/taskText.ts';
import { taskBlocks, taskJson } from '../prompts/examples.ts';
import { fillTemplate } from '../prompts/fillTemplate.ts';
import { onlyCompletions, type Recipe } from '../recipe/schema.ts';
import type { Task } from '../task.ts';
import type { TeacherReply, TeacherRequest, TeacherSampling } from '../teacher/types.ts';
import { guidanceOf } from './guidance.ts';
import { makeTasks } from './makeTasks.ts';
import { isFaithful, isStructured, type PipelineOptions, type RequestOptions, samplingOf } from './pipeline.ts';
import type { RunState } from './runState.ts';
import { sample } from './sample.ts';

/** As published (stanford_alpaca, generate_instruction.py). The banned id is GPT-2's end of text, unknown to chat models. */
const publishedSampling = (recipe: Recipe): TeacherSampling => ({
  temperature: 1,
  topP: 1,
  maxTokens: 3072,
  stop: ['\n20', '20.'],
  ...(onlyCompletions(recipe) ? { logitBias: { '50256': -100 } } : {}),
});

const taskSchema = {
  type: 'object',
  properties: {
    tasks: {
      type: 'array',
      items: {
        type: 'object',
        properties: { instruction: { type: 'string' }, input: { type: 'string' }, output: { type: 'string' } },
        required: ['instruction', 'input', 'output'],
        additionalProperties: false,
      },
    },
  },
  required: ['tasks'],
  additionalProperties: false,
};

/** Published: three seeds in, twenty in all. */
const shape = (recipe: Recipe) =>
  isFaithful(recipe)
    ? { shown: 3, machine: 0, count: 20 }
    : { shown: recipe.prompt_tasks, machine: recipe.machine_tasks, count: recipe.tasks_per_request };

/** Requests of the pipeline, out of the pool at the moment of asking. */
export function alpacaRequests(options: RequestOptions, { pool, coverage }: Pick<RunState, 'pool' | 'coverage'>) {
  const { recipe, prompts, seeds } = options;
  const { shown, machine, count } = shape(recipe);
  const structured = isStructured(recipe);
  const human: Task[] = seeds.map(({ instruction, instances }) => ({ instruction, ...instances[0]! }));
  const base: TeacherSampling = isFaithful(recipe)
    ? publishedSampling(recipe)
    : {
        temperature: 1,
        topP: 1,
        maxTokens: 4096,
        ...(structured ? {} : { stop: [`\n${count + 1}. ${prompts.labels.instruction}`] }),
      };
  const sampling = samplingOf(base, recipe);
  return (i: number): TeacherRequest => {
    const rng = createRng(recipe.seed).fork(`tasks/${i}`);
    const fromPool = sample(rng, pool.accepted, Math.min(machine, shown));
    const examples = rng.shuffle([...fromPool, ...sample(rng, human, shown - fromPool.length)]);
    const values = {
      guidance: guidanceOf(prompts, coverage, rng),
      no_input: prompts.labels.noInput,
      count: String(structured ? Math.max(1, count - examples.length) : count),
      examples: structured ? taskJson(examples) : taskBlocks(examples, prompts.labels, prompts.language.colon),
    };
    const prompt = fillTemplate(prompts.templates[structured ? 'alpaca-json.txt' : 'alpaca.txt'], values);
    const schema = structured ? { schema: { name: 'tasks', schema: taskSchema } } : {};
    return { id: `tasks/${i}`, prompt, sampling, ...schema };
  };
}

/** @param next number of the task that the answer begins with. */
export function readTasks(
  reply: TeacherReply,
  { faithful, next, labels }: { faithful: boolean; next: number; labels: Labels },
): Parsed {
  const stoppedForLength = reply.finishReason !== 'stop';
  if (faithful) return parseFaithfulTasks(reply.text, next, stoppedForLength);
  if (!looksStructured(reply.text)) {
    return parseTaskText(reply.text, labels, { continues: true, stoppedForLength });
  }
  return parseJsonItems(reply.text, (value) => {
    const { instruction, input = '', output } = (value ?? {}) as Record<string, unknown>;
    if (typeof instruction !== 'string' || typeof input !== 'string' || typeof output !== 'string') return undefined;
    return {
      instruction: instruction.replace(/\s+/g, ' ').trim(),
      input: isNoInput(input, labels) ? '' : input.trim(),
      output: output.trim(),
    };
  });
}

/**
 * Fills the state until there are enough. @returns whether there are.
 * @throws HuacayaError INSTRUCT_STALLED, and what the teacher throws.
 */
export async function runAlpaca(options: PipelineOptions, state: RunState): Promise<boolean> {
  const { recipe, prompts, seeds } = options;
  const { shown, count } = shape(recipe);
  const faithful = isFaithful(recipe);
  const next = Math.min(shown, seeds.length) + 1;
  return makeTasks(options, state, {
    stage: 'tasks',
    expected: Math.max(1, count - shown),
    build: alpacaRequests(options, state),
    read: (reply) => readTasks(reply, { faithful, next, labels: prompts.labels }),
  });
}
