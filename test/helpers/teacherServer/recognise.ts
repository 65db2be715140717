// What a prompt asks for, told from its text: the formats of Alpaca and of Self-Instruct, and a few of our own.
import type { Language } from './grammar.ts';

/**
 * `alpaca`: blocks of "n. Instruction / Input / Output". `instructions`: a numbered list to go on with. `classify`: Yes or No.
 * `input-first` and `output-first`: instances of one task. `judge`: a score. `evolve`: another instruction. `answer`: anything else.
 */
export type Kind =
  | 'alpaca'
  | 'instructions'
  | 'classify'
  | 'input-first'
  | 'output-first'
  | 'judge'
  | 'evolve'
  | 'answer';

export function recognise(prompt: string): Kind {
  const end = prompt.trimEnd();
  if (/^###/m.test(prompt) && labelsOf(prompt)) return 'alpaca';
  if (/(classification( task)?|分类(任务)?)\s*[?？:：]$/i.test(end)) return 'classify';
  if (/^(Class label|类别|标签)\s*[:：]/m.test(prompt) && lastTask(prompt)) return 'output-first';
  if (/^(Output|输出)\s*\d*\s*[:：]/m.test(prompt) && lastTask(prompt)) return 'input-first';
  if (/(?:^|\n)\s*\d+\s*[.．、]$/.test(end)) return 'instructions';
  if (
    /\b(score|rate|rating|judge)\b|评分|打分/i.test(prompt) &&
    /\b1\s*(-|–|to)\s*5\b|[1一]\s*(到|至|-)\s*[5五]/i.test(prompt)
  )
    return 'judge';
  if (
    /\b(rewrite|evolve|more complex|new|another) (the |a |an |given )*(\w+ )?(instruction|prompt|task)\b|改写/i.test(
      prompt,
    )
  )
    return 'evolve';
  return 'answer';
}

/** The instruction after the last "Task:" (任务) of the prompt. */
export function lastTask(prompt: string): string | undefined {
  const found = [...prompt.matchAll(/^(?:Task|任务)\s*[:：]\s*(\S.*)$/gm)].at(-1);
  return found?.[1]?.trim();
}

/** The last instruction that a prompt shows in whatever way, for kinds that speak about one. */
export function shownInstruction(prompt: string): string {
  const labelled = [...prompt.matchAll(/^\W*(?:Task|Instruction|任务|指令)[^:：\n]*[:：]\s*(\S.*)$/gim)].at(-1)?.[1];
  return (labelled ?? prompt.trim().split('\n').at(-1) ?? '').trim();
}

export function languageOf(prompt: string): Language {
  const tail = prompt.slice(-1500);
  return (tail.match(/[\u4e00-\u9fff]/g)?.length ?? 0) * 4 > tail.length ? 'zh' : 'en';
}

export interface BlockLabels {
  instruction: string;
  input: string;
  output: string;
  noInput: string;
  colon: string;
}

/** The words after the numbers in a prompt of the Alpaca kind ("1. Instruction: ..."), which the answer repeats. */
export function labelsOf(prompt: string): BlockLabels | undefined {
  const names: string[] = [];
  let colon = ':';
  for (const [, name, mark] of prompt.matchAll(/^\s*\d+\s*[.．、]\s*([^\s:：]{1,20})\s*([:：])/gm)) {
    if (!names.includes(name!)) names.push(name!);
    colon = mark!;
  }
  if (names.length < 3) return undefined;
  const noInput = /<[^<>\n]*(no ?input|无输入)[^<>\n]*>/i.exec(prompt)?.[0] ?? '<noinput>';
  return { instruction: names[0]!, input: names[1]!, output: names[2]!, noInput, colon };
}

/** The number at the end of the prompt, where the answer goes on, if there is one, and what stands behind it. */
export function openNumber(prompt: string): number | undefined {
  const found = /(?:^|\n)\s*(\d+)\s*[.．、][^\n]*$/.exec(prompt.trimEnd());
  return found ? Number(found[1]) : undefined;
}
