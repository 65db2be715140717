// The files of the four-stage pipeline (yizhongw/self-instruct): key order and escapes as its scripts write them.
import { HuacayaError } from '../../base/index.ts';
import type { TeacherReply, TeacherRequest } from '../teacher/types.ts';
import { neighbours, similarities } from './alpacaFiles.ts';
import { parseJsonLines } from './jsonLines.ts';
import { PyFloat, pythonJson } from './pythonJson.ts';

/** What the scripts keep of a request: {prompt, response: {choices: [...]}, created_at}. */
export type Metadata = Readonly<Record<string, unknown>>;

export interface MachineInstruction {
  instruction: string;
  nearest: readonly { text: string; score: number }[];
  mean: number;
  metadata: Metadata;
  requestIndex: number;
}

/** A row of is_clf_or_not_*.jsonl: the answer as it came, e.g. " Yes". */
export interface Classified {
  instruction: string;
  answer: string;
}

export interface RawInstances {
  instruction: string;
  text: string;
  metadata: Metadata;
}

/** `2022-12-03 10:11:12.123456`, in UTC. */
function pythonTime(seconds: number): string {
  const iso = new Date(Math.floor(seconds * 1000)).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}000`;
}

export function metadataOf({ prompt }: Pick<TeacherRequest, 'prompt'>, reply: TeacherReply): Metadata {
  return {
    prompt: typeof prompt === 'string' ? prompt : prompt.map(({ content }) => content).join('\n\n'),
    response: {
      choices: [{ text: reply.text, index: 0, finish_reason: reply.finishReason }],
      usage: { prompt_tokens: reply.promptTokens, completion_tokens: reply.completionTokens },
      model: reply.model,
    },
    created_at: pythonTime(reply.createdAt),
  };
}

/** Did the answer that a row came from stop for length? Rows of the original scripts too. */
export function stoppedForLength(metadata: Metadata): boolean {
  const response = metadata.response as { choices?: { finish_reason?: unknown }[] } | null | undefined;
  return response?.choices?.[0]?.finish_reason === 'length';
}

const lines = (rows: readonly unknown[], ascii: boolean) =>
  rows.map((row) => `${pythonJson(row, { ascii })}\n`).join('');

/** machine_generated_instructions.jsonl */
export const formatMachineInstructions = (rows: readonly MachineInstruction[]): string =>
  lines(
    rows.map(({ instruction, nearest, mean, metadata, requestIndex }) => ({
      instruction,
      most_similar: similarities(nearest),
      avg_similarity_score: new PyFloat(mean),
      metadata,
      request_idx: requestIndex,
    })),
    true,
  );

/** is_clf_or_not_{engine}_{template}.jsonl */
export const formatClassified = (rows: readonly Classified[]): string =>
  lines(
    rows.map(({ instruction, answer }) => ({ instruction, is_classification: answer })),
    false,
  );

/** machine_generated_instances.jsonl */
export const formatRawInstances = (
  rows: readonly RawInstances[],
  instructions: ReadonlyMap<string, MachineInstruction>,
): string =>
  lines(
    rows.map(({ instruction, text, metadata }) => {
      const from = instructions.get(instruction);
      return {
        instruction,
        raw_instances: text,
        instance_metadata: metadata,
        instruction_metadata: from?.metadata ?? {},
        most_similar: similarities(from?.nearest ?? []),
        avg_similarity_score: new PyFloat(from?.mean ?? 0),
      };
    }),
    false,
  );

/** Rows of JSON Lines with these keys only, as json.dumps writes them. */
export const formatRows = (rows: readonly Readonly<Record<string, string>>[]): string => lines(rows, true);

function textOf(name: string, line: number, row: Record<string, unknown>, key: string): string {
  const value = row[key];
  if (typeof value === 'string') return value;
  throw new HuacayaError('DATA_ROW', `${name}:${line}: "${key}" must be a text`, {
    hint: 'Is this a file of the self-instruct scripts?',
  });
}

const objectOf = (value: unknown): Metadata => (value !== null && typeof value === 'object' ? { ...value } : {});

/** @throws HuacayaError DATA_* with file and line. */
export function parseMachineInstructions(name: string, text: string): MachineInstruction[] {
  return parseJsonLines(name, text).map(({ line, value }) => ({
    instruction: textOf(name, line, value, 'instruction'),
    nearest: neighbours(value.most_similar),
    mean: typeof value.avg_similarity_score === 'number' ? value.avg_similarity_score : 0,
    metadata: objectOf(value.metadata ?? value.instruction_metadata),
    requestIndex: typeof value.request_idx === 'number' ? value.request_idx : 0,
  }));
}

/** @throws HuacayaError DATA_* with file and line. */
export function parseClassified(name: string, text: string): Classified[] {
  return parseJsonLines(name, text).map(({ line, value }) => ({
    instruction: textOf(name, line, value, 'instruction'),
    answer: textOf(name, line, value, 'is_classification'),
  }));
}

/** @throws HuacayaError DATA_* with file and line. */
export function parseRawInstances(name: string, text: string): RawInstances[] {
  return parseJsonLines(name, text).map(({ line, value }) => ({
    instruction: textOf(name, line, value, 'instruction'),
    text: textOf(name, line, value, 'raw_instances'),
    metadata: objectOf(value.instance_metadata),
  }));
}
