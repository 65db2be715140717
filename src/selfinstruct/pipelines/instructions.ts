// First stage of Self-Instruct: a numbered list of instructions that the teacher goes on with.
import { createRng } from '../../base/index.ts';
import { parseFaithfulInstructions, parseInstructions } from '../parse/instructionList.ts';
import { looksStructured, parseJsonItems } from '../parse/jsonItems.ts';
import type { Parsed } from '../parse/parsed.ts';
import { instructionJson, numberedLines } from '../prompts/examples.ts';
import { fillTemplate } from '../prompts/fillTemplate.ts';
import type { TeacherReply, TeacherRequest, TeacherSampling } from '../teacher/types.ts';
import { guidanceOf } from './guidance.ts';
import { isFaithful, isStructured, type RequestOptions, samplingOf } from './pipeline.ts';
import type { RunState } from './runState.ts';
import { sample } from './sample.ts';

/** As published (self-instruct, bootstrap_instructions.py). */
const publishedSampling: TeacherSampling = {
  temperature: 0.7,
  topP: 0.5,
  maxTokens: 1024,
  stop: ['\n\n', '\n16', '16.', '16 .'],
  presencePenalty: 2,
  frequencyPenalty: 0,
};

const schema = {
  type: 'object',
  properties: { instructions: { type: 'array', items: { type: 'string' } } },
  required: ['instructions'],
  additionalProperties: false,
};

/** Instructions of one answer, published: the list ends before number 16. */
export const instructionsPerAnswer = 7;

/** Requests of the stage: published are 8 instructions, up to 2 of them machine-made, shuffled. */
export function instructionRequests(options: RequestOptions, { pool, coverage }: Pick<RunState, 'pool' | 'coverage'>) {
  const { recipe, prompts, seeds } = options;
  const faithful = isFaithful(recipe);
  const structured = isStructured(recipe);
  const [shown, machine] = faithful ? [8, 2] : [recipe.prompt_tasks, recipe.machine_tasks];
  const human = seeds.map(({ instruction }) => instruction);
  const last = Math.max(recipe.tasks_per_request, shown + 1);
  const base: TeacherSampling = faithful
    ? publishedSampling
    : { temperature: 1, topP: 1, maxTokens: 2048, ...(structured ? {} : { stop: [`\n${last + 1}.`] }) };
  const sampling = samplingOf(base, recipe);
  const template = structured
    ? 'instructions-json.txt'
    : recipe.classification_only
      ? 'instructions-classification.txt'
      : 'instructions.txt';
  return (i: number): TeacherRequest => {
    const rng = createRng(recipe.seed).fork(`instructions/${i}`);
    const fromPool = sample(rng, pool.accepted, Math.min(machine, shown)).map(({ instruction }) => instruction);
    const examples = rng.shuffle([...fromPool, ...sample(rng, human, shown - fromPool.length)]);
    const prompt = fillTemplate(prompts.templates[template], {
      guidance: guidanceOf(prompts, coverage, rng),
      count: String(Math.max(1, last - examples.length)),
      examples: structured ? instructionJson(examples) : numberedLines(examples),
    });
    return {
      id: `instructions/${i}`,
      prompt,
      sampling,
      ...(structured ? { schema: { name: 'instructions', schema } } : {}),
    };
  };
}

/** Instructions of an answer, as tasks that have nothing else yet. */
export function readInstructions(reply: TeacherReply, faithful: boolean): Parsed {
  const stoppedForLength = reply.finishReason !== 'stop';
  const { items, rejected } = faithful
    ? parseFaithfulInstructions(reply.text, stoppedForLength)
    : looksStructured(reply.text)
      ? parseJsonItems(reply.text, (value) =>
          typeof value === 'string' ? value.replace(/\s+/g, ' ').trim() : undefined,
        )
      : parseInstructions(reply.text, stoppedForLength);
  return { items: items.map((instruction) => ({ instruction, input: '', output: '' })), rejected };
}
