// A teacher out of a function, and what a pipeline needs beside it.
import { fileURLToPath } from 'node:url';
import { createRng, HuacayaError } from '../../../../src/base/index.ts';
import { createRougeDedupe } from '../../../../src/selfinstruct/dedupe/index.ts';
import type { PipelineOptions } from '../../../../src/selfinstruct/pipelines/pipeline.ts';
import { loadPromptSet } from '../../../../src/selfinstruct/prompts/loadPromptSet.ts';
import { type Recipe, recipeSchema, settled } from '../../../../src/selfinstruct/recipe/schema.ts';
import type { SeedTask } from '../../../../src/selfinstruct/task.ts';
import type { Teacher, TeacherReply, TeacherRequest } from '../../../../src/selfinstruct/teacher/types.ts';

export const templates = fileURLToPath(new URL('../../../../templates/instruct/', import.meta.url));

/** Ten seeds, two of them classification. */
export const seeds: SeedTask[] = [
  'Explain why bread rises in the oven.',
  'Sort the given words by their length.',
  'Write a birthday wish for a colleague.',
  'Is the sentence a fact or an opinion?',
  'Convert the temperature to Fahrenheit:',
  'Name three rivers that flow into the Black Sea.',
  'Rewrite the note so that it sounds friendlier.',
  'Decide whether the review is good or bad.',
  'Plan a rainy afternoon with two children.',
  'Correct the spelling of this paragraph.',
].map((instruction, i) => ({
  id: `seed_task_${i}`,
  name: '',
  instruction,
  instances: [{ input: i % 2 ? `material ${i}` : '', output: `answer ${i}` }],
  isClassification: i === 3 || i === 7,
}));

const base = {
  pipeline: 'alpaca',
  style: 'improved',
  language: 'en',
  num: 20,
  seed: 1,
  lookahead: 4,
  prompt_tasks: 4,
  machine_tasks: 1,
  tasks_per_request: 20,
  topics: true,
  structured: false,
  classification_only: false,
  max_instances: 5,
  include_seeds: false,
  sampling: {},
  dedupe: { mode: 'rouge', threshold: 0.7, details: 'exact' },
  filters: {},
  endpoints: [],
  budget: {},
};

export const recipeOf = (over: Record<string, unknown> = {}): Recipe =>
  settled(recipeSchema.parse({ ...base, ...over }));

export interface FakeTeacher extends Teacher {
  asked: TeacherRequest[];
  /** Most requests that were under way at a time. */
  peak: number;
}

/** @param answer text, a partial reply, or an error. Answers come in an order of the seed's. */
export function fakeTeacher(
  answer: (request: TeacherRequest) => string | Partial<TeacherReply> | HuacayaError,
  orderSeed = 1,
): FakeTeacher {
  const rng = createRng(orderSeed);
  const asked: TeacherRequest[] = [];
  let [open, requests] = [0, 0];
  const teacher: FakeTeacher = {
    asked,
    peak: 0,
    async ask(request) {
      asked.push(request);
      teacher.peak = Math.max(teacher.peak, ++open);
      for (let turns = rng.below(6); turns > 0; turns--) await new Promise(setImmediate);
      open--;
      const given = answer(request);
      if (given instanceof HuacayaError) throw given;
      requests++;
      return {
        id: request.id,
        text: '',
        finishReason: 'stop',
        promptTokens: 10,
        completionTokens: 20,
        cost: 0.5,
        model: 'fake',
        createdAt: 1_700_000_000.25,
        ...(typeof given === 'string' ? { text: given } : given),
      };
    },
    spent: () => ({ requests, promptTokens: 10 * requests, completionTokens: 20 * requests, cost: requests / 2 }),
    async close() {},
  };
  return teacher;
}

export async function optionsOf(
  teacher: Teacher,
  recipe: Recipe,
  more: Partial<PipelineOptions> = {},
): Promise<PipelineOptions> {
  const prompts = await loadPromptSet(`${templates}${recipe.language}`);
  return { recipe, prompts, seeds, teacher, dedupe: createRougeDedupe(), before: [], ...more };
}

const words =
  'amber brook cedar delta ember flint grove heron islet jetty knoll larch maple north ochre pearl quartz'.split(' ');

/** Different tasks of a request's own, as numbered blocks that go on from an open head. */
export function blocks(request: TeacherRequest, count = 5): string {
  const rng = createRng(99).fork(request.id);
  const open = /(\d+)\. Instruction:$/.exec(String(request.prompt).trimEnd());
  const first = Number(open?.[1] ?? 1);
  const some = () => Array.from({ length: 6 }, () => words[rng.below(words.length)]).join(' ');
  return Array.from({ length: count }, (_, k) => {
    const head = k === 0 ? '' : `###\n${first + k}. Instruction:`;
    return `${head} Describe ${some()}.\n${first + k}. Input:\n<noinput>\n${first + k}. Output:\nIt is ${some()}.\n`;
  }).join('');
}
