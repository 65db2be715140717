// What the teacher writes: the right format for the prompt's kind, with the faults that real models have.
import type { Rng } from '../../../src/base/index.ts';
import { isClassification, type Language, labelsIn, makeTask, passage, pick, sentence, type Task } from './grammar.ts';
import { type Kind, labelsOf, languageOf, lastTask, openNumber, shownInstruction } from './recognise.ts';

export interface Written {
  text: string;
  finish: 'stop' | 'length';
}

/** @param noise scales the probability of every fault; 0: a teacher without any. */
export function writeAnswer(kind: Kind, prompt: string, rng: Rng, noise: number): Written {
  const chance = (percent: number) => rng.uniform() * 100 < percent * noise;
  const language = languageOf(prompt);
  const text = WRITERS[kind]({ prompt, rng, chance, language });
  if (kind === 'classify' || kind === 'judge' || !chance(4)) return { text, finish: 'stop' };
  return { text: text.slice(0, Math.ceil(text.length * (0.3 + 0.6 * rng.uniform()))), finish: 'length' };
}

interface Desk {
  prompt: string;
  rng: Rng;
  chance(percent: number): boolean;
  language: Language;
}

const WRITERS: Readonly<Record<Kind, (desk: Desk) => string>> = {
  alpaca,
  instructions,
  classify({ prompt, chance }) {
    const task = lastTask(prompt.replace(/\n[^\n]*$/, '')) ?? shownInstruction(prompt);
    const yes = isClassification(task) !== chance(3);
    return ` ${yes ? 'Yes' : 'No'}`;
  },
  'input-first': (desk) => instances(desk, false),
  'output-first': (desk) => instances(desk, true),
  judge: ({ rng, chance }) => {
    const score = pick(rng, [1, 2, 3, 3, 4, 4, 4, 5, 5]);
    return chance(5) ? `It is hard to say, but maybe ${score}.` : `Score: ${score}\n${sentence(rng)}`;
  },
  evolve: ({ rng, language, chance }) => (chance(4) ? refusal(rng) : makeTask(rng, language).instruction),
  answer: ({ rng, language, chance, prompt }) => {
    if (chance(4)) return refusal(rng);
    const instruction = shownInstruction(prompt);
    if (isClassification(instruction)) return pick(rng, labelsIn(instruction));
    return language === 'zh' ? makeTask(rng, 'zh').output : passage(rng, 1 + rng.below(5));
  },
};

function refusal(rng: Rng): string {
  return pick(rng, [
    'As an AI language model, I cannot do that.',
    "I'm sorry, but I can't help with this request.",
    'I am unable to see the input that you mention.',
  ]);
}

/** A task with the faults that filters are for. */
function flawed(task: Task, { rng, chance, prompt }: Desk, before: readonly string[]): Task {
  if (chance(3)) return { ...task, instruction: `Draw a picture of ${task.instruction.toLowerCase()}` };
  if (chance(2)) return { ...task, instruction: 'Write a program that sorts a list of names and prints it.' };
  if (chance(2)) return { ...task, instruction: pick(rng, ['Sing it.', 'Explain.', 'Say why.']) };
  if (chance(1)) return { ...task, instruction: `"${task.instruction}"` };
  if (chance(1)) return { ...task, instruction: `¿${task.instruction}` };
  if (chance(2)) return { ...task, output: '' };
  if (chance(2)) return { ...task, output: refusal(rng) };
  if (chance(2)) return { ...task, output: task.input || task.instruction };
  if (chance(6)) {
    // Near-duplicates: of what was just written, or of an example in the prompt.
    const shown = [...prompt.matchAll(/^\s*\d+\s*[.．、]\s*(?:Instruction\s*:\s*)?(\S.{20,})$/gm)].map((m) => m[1]!);
    const source = pick(rng, [...before, ...shown, task.instruction]);
    const word = pick(rng, ['please', 'briefly', 'today']);
    return { ...task, instruction: source.replace(/[.?!]?$/, ` ${word}$&`) };
  }
  return task;
}

function alpaca(desk: Desk): string {
  const { prompt, rng, chance, language } = desk;
  const { instruction, input, output, noInput, colon } = labelsOf(prompt)!;
  const asked = Number(
    /\b(\d{1,2})\s*(?:\w+ ){0,2}(?:tasks|instructions)\b|(\d{1,2})\s*[个条]/.exec(prompt)?.[1] ?? 20,
  );
  const open = openNumber(prompt);
  let number = open ?? 1;
  let text = '';
  const before: string[] = [];
  for (let i = 0; i < asked && number <= 20 + (open ? 0 : 1); i++, number++) {
    const task = flawed(makeTask(rng, language), desk, before);
    before.push(task.instruction);
    const shown = chance(2) ? number + 1 + rng.below(3) : number;
    const dot = chance(2) ? ')' : '.';
    const gap = chance(3) ? '\n\n' : '\n';
    const nothing = chance(4) ? pick(rng, ['None', '<Noinput>', 'N/A', '']) : noInput;
    // After an open "4. Instruction:" the first line is already begun.
    const head = i === 0 && open ? '' : `###\n${shown}${dot} ${instruction}${colon}`;
    text += `${head} ${task.instruction}${gap}${shown}. ${input}${colon}${chance(1) ? ' ' : '\n'}${task.input || nothing}\n`;
    text += chance(2) ? `${task.output}\n` : `${shown}. ${output}${colon}\n${task.output}\n`;
  }
  return text.trimEnd();
}

function instructions(desk: Desk): string {
  const { prompt, rng, chance, language } = desk;
  const first = openNumber(prompt) ?? 1;
  const onlyClassification = /classification/i.test(prompt.slice(0, 300));
  const before: string[] = [];
  for (let number = first; number <= first + 9; number++) {
    let task = makeTask(rng, language);
    for (let tries = 0; onlyClassification && !task.classification && tries < 50; tries++)
      task = makeTask(rng, language);
    before.push(flawed(task, desk, before).instruction);
  }
  return before.reduce((text, instruction, i) => {
    if (i === 0) return ` ${instruction}`;
    const number = chance(2) ? first + i + 1 : first + i;
    return `${text}\n${chance(2) ? '-' : `${number}.`} ${instruction}`;
  }, '');
}

/** "Example 1", "Example 2", ... of one task, label first for classification. */
function instances({ prompt, rng, chance, language }: Desk, labelFirst: boolean): string {
  const task = lastTask(prompt) ?? '';
  const zh = language === 'zh';
  const say = () => (zh ? makeTask(rng, 'zh').output : passage(rng, 1 + rng.below(2)));
  const outputLabel = zh ? '输出' : 'Output';
  if (labelFirst) {
    return labelsIn(task)
      .map((label) => `${zh ? '类别' : 'Class label'}: ${chance(2) ? '' : label}\n${zh ? '输入' : 'Text'}: ${say()}`)
      .join('\n');
  }
  const needsInput = /\b(this|following|given|below|passage|text)\b|下面|以下/i.test(task);
  if (!needsInput) return chance(3) ? say() : `${outputLabel}: ${say()}`;
  return Array.from({ length: 1 + rng.below(3) }, (_, i) => {
    const input = say();
    const output = chance(3) ? input : chance(3) ? '' : say();
    const head = zh ? `示例${i + 1}` : `Example ${i + 1}`;
    return `${head}\n${zh ? '输入' : 'Text'}: ${input}\n${chance(2) ? '' : `${outputLabel}: `}${output}`;
  }).join('\n\n');
}
