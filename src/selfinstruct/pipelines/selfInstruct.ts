// The pipeline of Self-Instruct (Wang et al. 2022, arXiv 2212.10560): instructions, classification or not, instances.
// The fourth stage, preparation, needs no teacher: prepareFinetuning.ts.
import {
  type Classified,
  type MachineInstruction,
  type Metadata,
  metadataOf,
  type RawInstances,
} from '../files/selfInstructFiles.ts';
import { fillTemplate } from '../prompts/fillTemplate.ts';
import type { Language } from '../prompts/promptSet.ts';
import type { TeacherReply, TeacherRequest, TeacherSampling } from '../teacher/types.ts';
import { instructionRequests, instructionsPerAnswer, readInstructions } from './instructions.ts';
import { makeTasks } from './makeTasks.ts';
import { runOrdered } from './orderedRequests.ts';
import { historyOf, isFaithful, type PipelineOptions, refusedHistory, type Stage } from './pipeline.ts';
import type { RunState } from './runState.ts';

export interface SelfInstructState extends RunState {
  /** Of the instructions that this run made: the request of each. */
  metadata: Map<number, Metadata>;
  classified: Map<string, Classified>;
  instances: Map<string, RawInstances>;
}

/** Files of a run of the original scripts: what they hold is not asked again. */
export interface EarlierSelfInstruct {
  instructions: readonly MachineInstruction[];
  classified: readonly Classified[];
  instances: readonly RawInstances[];
}

/** As published: identify_clf_or_not.py and generate_instances.py. */
const publishedClassify: TeacherSampling = { temperature: 0, topP: 0, maxTokens: 3, stop: ['\n', 'Task'] };

/** "Yes" as the scripts take it; in our style in any capitals, with a mark behind it, in the prompt's language. */
export function saysYes(answer: string, { yes }: Language, faithful: boolean): boolean {
  if (faithful && ['Yes', 'yes', 'YES'].includes(answer.trim())) return true;
  const plain = answer.trim().toLowerCase();
  const found = yes.find((word) => plain.startsWith(word));
  if (found === undefined) return false;
  return faithful ? plain === found && found !== 'yes' : !/^[a-z]/.test(plain.slice(found.length));
}

/** Fills the state. @returns whether everything is there. @throws what the teacher throws, and INSTRUCT_STALLED. */
export async function runSelfInstruct(
  options: PipelineOptions,
  state: SelfInstructState,
  earlier: EarlierSelfInstruct,
): Promise<boolean> {
  const { recipe, prompts } = options;
  const faithful = isFaithful(recipe);
  for (const row of earlier.classified) state.classified.set(row.instruction, row);
  for (const row of earlier.instances) state.instances.set(row.instruction, row);
  const enough = await makeTasks(options, state, {
    stage: 'instructions',
    expected: instructionsPerAnswer,
    build: instructionRequests(options, state),
    read: (reply) => readInstructions(reply, faithful),
    onBrought: (i, request, reply) => state.metadata.set(i, metadataOf(request, reply)),
  });
  if (!enough) return false;
  const { templates, labels } = prompts;
  const classify = await each(options, state, 'classification', state.classified, {
    request: (instruction) => ({
      prompt: fillTemplate(templates['classify.txt'], { instruction: instruction.trim() }),
      sampling: faithful
        ? publishedClassify
        : { temperature: 0, maxTokens: 8, stop: [...new Set(['\n', labels.task])] },
    }),
    take: (instruction, _request, reply) => state.classified.set(instruction, { instruction, answer: reply.text }),
  });
  if (!classify) return false;
  const isClassification = (instruction: string) =>
    saysYes(state.classified.get(instruction)?.answer ?? '', prompts.language, faithful);
  const colon = prompts.language.colon.trimEnd();
  return each(options, state, 'instances', state.instances, {
    request(instruction) {
      const classification = isClassification(instruction);
      const template = templates[classification ? 'output-first.txt' : 'input-first.txt'];
      return {
        prompt: `${fillTemplate(template, { instruction: instruction.trim() })}\n`,
        sampling: {
          temperature: 0,
          ...(faithful ? { topP: 0, frequencyPenalty: 0, presencePenalty: 1.5 } : {}),
          maxTokens: faithful ? (classification ? 300 : 350) : 1024,
          stop: [`${labels.example} ${recipe.max_instances + 1}`, `${labels.task}${colon}`],
        },
      };
    },
    take: (instruction, request, reply) =>
      state.instances.set(instruction, { instruction, text: reply.text, metadata: metadataOf(request, reply) }),
  });
}

interface Each {
  request(instruction: string): Pick<TeacherRequest, 'prompt' | 'sampling'>;
  take(instruction: string, request: TeacherRequest, reply: TeacherReply): void;
}

/** One request for each accepted instruction that `done` does not have. */
async function each(
  { recipe, teacher, signal, onProgress }: PipelineOptions,
  { pool, history }: RunState,
  stage: Stage,
  done: ReadonlyMap<string, unknown>,
  { request, take }: Each,
): Promise<boolean> {
  // The id is the place in the pool, which a longer run shares.
  const todo = pool.accepted.flatMap(({ instruction }, i) => (done.has(instruction) ? [] : [{ instruction, i }]));
  let answers = 0;
  const tell = () =>
    onProgress?.({
      stage,
      done: pool.accepted.length - todo.length + answers,
      wanted: pool.accepted.length,
      answers,
      accepted: pool.accepted.length,
      rejected: { ...pool.counts },
      spent: teacher.spent(),
    });
  tell();
  const end = await runOrdered({
    teacher,
    lookahead: recipe.lookahead,
    build(k) {
      const next = todo[k];
      return next && { id: `${stage}/${next.i}`, ...request(next.instruction) };
    },
    async take(k, asked, reply) {
      take(todo[k]!.instruction, asked, reply);
      history.push(historyOf(reply, 0, {}));
      answers++;
      tell();
      return true;
    },
    refused(k, { id }, { message }) {
      pool.reject(pool.accepted[todo[k]!.i]!.request, 'refused', message);
      history.push(refusedHistory(id));
      return true;
    },
    ...(signal ? { signal } : {}),
  });
  return end !== 'stopped';
}
