// How tasks of the pool are shown in a prompt.
import type { Labels } from '../parse/labels.ts';
import type { Task } from '../task.ts';

/** One line, without the colon at its end that would ask for an input. */
export const oneLine = (instruction: string) =>
  instruction
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[:：]+$/, '');

/** "###" blocks as in Alpaca's prompt, and the head of the next one, which the answer goes on from. */
export function taskBlocks(tasks: readonly Task[], labels: Labels, colon: string): string {
  const tight = colon.trimEnd();
  const blocks = tasks.map(
    ({ instruction, input, output }, i) =>
      `###\n${i + 1}. ${labels.instruction}${colon}${oneLine(instruction)}\n` +
      `${i + 1}. ${labels.input}${tight}\n${input === '' ? labels.noInput : input}\n` +
      `${i + 1}. ${labels.output}${tight}\n${output}\n`,
  );
  return `${blocks.join('')}###\n${tasks.length + 1}. ${labels.instruction}${tight}`;
}

/** The same tasks for a teacher that answers in JSON. */
export const taskJson = (tasks: readonly Task[]): string =>
  JSON.stringify({ tasks: tasks.map(({ instruction, input, output }) => ({ instruction, input, output })) }, null, 1);

/** "1. ..." lines, and the number of the next one. */
export function numberedLines(instructions: readonly string[]): string {
  const lines = instructions.map((instruction, i) => `${i + 1}. ${oneLine(instruction)}\n`);
  return `${lines.join('')}${instructions.length + 1}.`;
}

export const instructionJson = (instructions: readonly string[]): string =>
  JSON.stringify({ instructions: instructions.map(oneLine) }, null, 1);
