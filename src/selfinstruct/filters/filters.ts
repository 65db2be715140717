// Which candidates are not worth comparing with the pool: the published rules, and stricter ones beside them.
import { englishLabels } from '../parse/labels.ts';
import type { PromptSet } from '../prompts/promptSet.ts';
import type { RejectReason, Task } from '../task.ts';
import { isRefusal } from './refusal.ts';
import { countWords, wordFinder } from './words.ts';

export interface FilterSettings {
  minWords: number;
  maxWords: number;
  words: 'spaces' | 'characters';
  keywords: readonly string[];
  /** Not taken: an instruction with one of these at its start. */
  programStarts: readonly string[];
  /** Not taken: an ASCII punctuation mark at the start. */
  punctuation: boolean;
  /** Not taken: another than an ASCII character at the start. */
  asciiStart: boolean;
  /** Taken only with letters of this script. */
  script?: string;
  /** Also looks at input and output: empty, equal, cut off, a placeholder. */
  wholeTask: boolean;
  /** Not taken: an output that begins with one of these, in lower case; looked at with `wholeTask`. */
  refusals: readonly string[];
}

/** Words of self-instruct's list, and what stanford_alpaca added to it. */
const selfInstructKeywords = ['image', 'images', 'graph', 'graphs', 'picture', 'pictures', 'file', 'files'].concat([
  'map',
  'maps',
  'draw',
  'plot',
  'go to',
]);
const alpacaKeywords = [...selfInstructKeywords, 'video', 'audio', 'music', 'flowchart', 'diagram'];

/** The rules of the published scripts, word for word. */
export const faithfulFilters = (pipeline: 'alpaca' | 'self-instruct'): FilterSettings => ({
  minWords: 4,
  maxWords: 150,
  words: 'spaces',
  keywords: pipeline === 'alpaca' ? alpacaKeywords : selfInstructKeywords,
  programStarts: ['Write a program'],
  punctuation: true,
  asciiStart: true,
  wholeTask: false,
  refusals: [],
});

/** Our defaults for a language, out of its prompt folder. */
export const languageFilters = ({ language, keywords, refusals }: PromptSet): FilterSettings => ({
  minWords: language.min_words,
  maxWords: language.max_words,
  words: language.words,
  keywords,
  programStarts: language.program_starts,
  punctuation: true,
  asciiStart: language.ascii_start,
  ...(language.script === undefined ? {} : { script: language.script }),
  wholeTask: true,
  refusals,
});

/** string.punctuation of Python. */
const asciiPunctuation = /^[!-/:-@[-`{-~]/;
const placeholder = /<\s*(?:no\s?input|input|output|insert[^>]*)\s*>|\[\s*(?:insert|your|name of)[^\]]*\]/i;

export type Filter = (task: Task) => RejectReason | undefined;

/** A function that says why a task is not taken; its rules are asked in the order of the published scripts. */
export function createFilter(settings: FilterSettings): Filter {
  const findWord = wordFinder(settings.keywords);
  const script = settings.script === undefined ? undefined : new RegExp(`\\p{Script=${settings.script}}`, 'u');
  return ({ instruction, input, output }) => {
    const words = countWords(instruction, settings.words);
    if (words < settings.minWords) return 'too_short';
    if (words > settings.maxWords) return 'too_long';
    if (findWord(instruction) !== undefined) return 'keyword';
    if (settings.programStarts.some((start) => instruction.startsWith(start))) return 'program';
    if (settings.punctuation && asciiPunctuation.test(instruction)) return 'punctuation';
    if (settings.asciiStart && instruction.charCodeAt(0) > 127) return 'not_ascii';
    if (script && !script.test(instruction)) return 'wrong_language';
    return settings.wholeTask ? wholeTask({ instruction, input, output }, settings) : undefined;
  };
}

/** For tasks that come with their answer. */
function wholeTask({ instruction, input, output }: Task, { refusals }: FilterSettings): RejectReason | undefined {
  if (output === '') return 'empty_output';
  if (isRefusal(output, refusals)) return 'refusal';
  if (output === input || output === instruction) return 'output_is_input';
  if (/[:：]$/.test(output) || /[:：]$/.test(input)) return 'ends_with_colon';
  if (output.includes(englishLabels.noInput) || placeholder.test(input)) return 'placeholder';
  return undefined;
}
