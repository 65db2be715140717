// The seeded grammar: instructions with inputs and outputs, some of them classification. The same random stream gives the same task.
import type { Rng } from '../../../src/base/index.ts';
import {
  ASPECTS,
  AUDIENCES,
  DETAILS,
  LABELS,
  LIMITS,
  PLACES,
  SUBJECTS,
  TEXTS,
  THINGS,
  TIMES,
  VERBS,
  ZH,
} from './words.ts';

export interface Task {
  instruction: string;
  /** Empty where the task needs none. */
  input: string;
  output: string;
  classification: boolean;
}

export type Language = 'en' | 'zh';

export function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[rng.below(items.length)]!;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

type Frame = (rng: Rng) => string;
const topic: Frame = (rng) => `${pick(rng, ASPECTS)} ${pick(rng, SUBJECTS)}`;
const subject: Frame = (rng) => pick(rng, SUBJECTS);
const sometimes = (rng: Rng, more: readonly string[]) => (rng.below(4) === 0 ? '' : ` ${pick(rng, more)}`);
const audience: Frame = (rng) => pick(rng, AUDIENCES) + sometimes(rng, DETAILS);
const limit: Frame = (rng) => pick(rng, LIMITS);
const place: Frame = (rng) => pick(rng, PLACES) + sometimes(rng, TIMES);
const text: Frame = (rng) => pick(rng, TEXTS);

/** Tasks that need nothing but themselves. */
const OPEN: readonly Frame[] = [
  (r) => `Explain ${topic(r)} to ${audience(r)} ${limit(r)}.`,
  (r) => `Write a story about ${subject(r)} ${place(r)} ${limit(r)}.`,
  (r) => `What should ${audience(r)} know about ${topic(r)}?`,
  (r) => `Compare ${topic(r)} with ${topic(r)} ${limit(r)}.`,
  (r) => `Suggest five questions about ${topic(r)} for ${audience(r)}.`,
  (r) => `Plan a day of ${subject(r)} and ${subject(r)} ${place(r)} for ${audience(r)}.`,
  (r) => `Describe ${subject(r)} ${place(r)} ${limit(r)}.`,
  (r) => `Argue against ${topic(r)} ${limit(r)}, addressing ${audience(r)}.`,
  (r) => `Invent a slogan that sells ${subject(r)} to ${audience(r)} ${limit(r)}.`,
  (r) => `Is ${subject(r)} harder to learn than ${subject(r)} ${place(r)}? Answer ${limit(r)}.`,
  (r) => `Give ${audience(r)} advice on ${topic(r)}.`,
  (r) => `Name ${2 + r.below(8)} reasons why ${subject(r)} matters to ${audience(r)} ${place(r)}.`,
  (r) => `Compose a poem in which ${subject(r)} meets ${subject(r)} ${place(r)}.`,
  (r) => `Outline a talk on ${topic(r)} given ${place(r)} ${limit(r)}.`,
  (r) => `How would ${audience(r)} organise a festival of ${subject(r)} ${place(r)}?`,
  (r) => `Draft a letter to ${audience(r)} about ${topic(r)} ${limit(r)}.`,
  (r) => `Imagine ${subject(r)} were forbidden ${place(r)}: what would ${audience(r)} do instead?`,
  (r) => `Put ${subject(r)}, ${subject(r)}, ${subject(r)} and ${subject(r)} in order of cost ${place(r)}.`,
  (r) => `Teach ${audience(r)} one trick from ${subject(r)} that helps with ${subject(r)} ${limit(r)}.`,
  (r) => `Could ${topic(r)} explain why ${audience(r)} moved to live ${place(r)}?`,
  (r) => `Propose a museum of ${subject(r)} ${place(r)}, with a budget and opening hours for ${audience(r)}.`,
  (r) => `I need a riddle whose answer is ${subject(r)}, ${limit(r)}.`,
  (r) => `Translate the proverb about ${subject(r)} for ${audience(r)} and say what it has to do with ${subject(r)}.`,
  (r) => `Which three objects would ${audience(r)} pack for ${subject(r)} ${place(r)}, ${limit(r)}?`,
  (r) => `Settle a quarrel between friends of ${subject(r)} and friends of ${subject(r)} ${limit(r)}.`,
];

/** Tasks about a text that comes as the input. */
const ABOUT: readonly Frame[] = [
  (r) => `Summarise this ${text(r)} for ${audience(r)} ${limit(r)}.`,
  (r) => `Rewrite the ${text(r)} so that ${audience(r)} would enjoy it, ${limit(r)}.`,
  (r) => `Find the claim about ${subject(r)} in the given ${text(r)} and restate it ${limit(r)}.`,
  (r) => `Turn the following ${text(r)} into a ${text(r)} ${limit(r)}.`,
  (r) => `Continue the ${text(r)} below as if it took place ${place(r)} ${limit(r)}.`,
  (r) => `List what ${audience(r)} could misunderstand in this ${text(r)}.`,
  (r) => `Correct the grammar of the ${text(r)} and reply to it ${limit(r)}.`,
  (r) => `Extract every detail about ${topic(r)} from the passage.`,
  (r) => `Who wrote this ${text(r)}, ${audience(r)} or ${audience(r)}? Give your reasons ${limit(r)}.`,
  (r) => `Check whether the passage agrees with what ${audience(r)} believe about ${topic(r)}.`,
  (r) => `Replace every mention of ${subject(r)} in the ${text(r)} with ${subject(r)} ${limit(r)}.`,
  (r) => `Using only the text below, tell ${audience(r)} how ${subject(r)} works ${place(r)}.`,
  (r) => `Shorten the following lines for a poster ${place(r)} that ${audience(r)} will read, ${limit(r)}.`,
];

/** Tasks whose answer is one of a few labels. */
const SORTING: readonly ((rng: Rng, labels: string) => string)[] = [
  (r, labels) => `Classify the ${text(r)} about ${topic(r)} as ${labels} for ${audience(r)}.`,
  (r, labels) => `Label each ${text(r)} that ${audience(r)} sent as ${labels}.`,
  (r, labels) => `Given a ${text(r)} on ${subject(r)}, categorise it as ${labels}.`,
  (r, labels) => `Help ${audience(r)} to classify what was said about ${subject(r)} ${place(r)} as ${labels}.`,
  (r, labels) => `Detect the category of this ${text(r)} ${place(r)} and mark it as ${labels}.`,
];

/** An English sentence about a subject. */
export function sentence(rng: Rng, about = subject(rng)): string {
  const where = rng.below(3) === 0 ? ` ${place(rng)}` : '';
  return `${capital(about)} ${pick(rng, VERBS)} ${pick(rng, THINGS)}${where}.`;
}

export function passage(rng: Rng, sentences: number): string {
  const about = subject(rng);
  return Array.from({ length: sentences }, (_, i) => sentence(rng, i % 2 === 0 ? about : subject(rng))).join(' ');
}

const orList = (labels: readonly string[]) => `${labels.slice(0, -1).join(', ')} or ${labels.at(-1)}`;

export function makeTask(rng: Rng, language: Language = 'en'): Task {
  if (language === 'zh') return makeChinese(rng);
  const draw = rng.below(20);
  if (draw < 4) {
    const labels = pick(rng, LABELS);
    const instruction = pick(rng, SORTING)(rng, orList(labels));
    return { instruction, input: sentence(rng), output: capital(pick(rng, labels)), classification: true };
  }
  const withInput = draw < 10;
  const instruction = capital(pick(rng, withInput ? ABOUT : OPEN)(rng));
  const input = withInput ? passage(rng, 1 + rng.below(3)) : '';
  return { instruction, input, output: passage(rng, 1 + rng.below(4)), classification: false };
}

function makeChinese(rng: Rng): Task {
  const about = () => pick(rng, ZH.subjects) + pick(rng, ZH.aspects);
  const who = pick(rng, ZH.audiences);
  const say = (n: number) =>
    Array.from({ length: n }, () => `${about()}与${pick(rng, ZH.subjects)}有密切的关系。`).join('');
  if (rng.below(5) === 0) {
    const labels = pick(rng, ZH.labels);
    const instruction = `判断下面这段关于${about()}的文字属于${labels.join('、')}中的哪一类。`;
    return { instruction, input: say(1), output: pick(rng, labels), classification: true };
  }
  const open = [
    () => `请向${who}介绍${about()}，${pick(rng, ZH.limits)}。`,
    () => `比较${about()}和${about()}，${pick(rng, ZH.limits)}。`,
    () => `为${who}写一篇关于${about()}的短文。`,
    () => `给${who}提出三个学习${pick(rng, ZH.subjects)}的建议，${pick(rng, ZH.limits)}。`,
  ];
  const withInput = rng.below(2) === 0;
  const instruction = withInput ? `为${who}总结下面关于${about()}的文字，${pick(rng, ZH.limits)}。` : pick(rng, open)();
  return { instruction, input: withInput ? say(1) : '', output: say(1 + rng.below(3)), classification: false };
}

/** What the grammar's classification tasks have in common; other people's are recognised by the usual words. */
export function isClassification(instruction: string): boolean {
  return /\b(classif|categor|label|sentiment|spam|true or false|which (type|kind|category|class))|判断|分类|属于/i.test(
    instruction,
  );
}

/** The labels that an instruction offers ("as a, b or c"), else two usual ones. */
export function labelsIn(instruction: string): string[] {
  const listed = /\bas ((?:[\w -]+, )*[\w -]+? or [\w ]+?)(?: for |\.|$)/i.exec(instruction)?.[1];
  if (listed) return listed.split(/, | or /);
  return /[\u4e00-\u9fff]/.test(instruction) ? ['正面', '负面'] : ['positive', 'negative'];
}
