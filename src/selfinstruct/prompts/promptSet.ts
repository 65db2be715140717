// The prompts of one language: a folder of text files that a user may copy and edit.
import { z } from 'zod';
import { HuacayaError } from '../../base/index.ts';
import type { Labels } from '../parse/labels.ts';
import { parseTopics, type Topic } from './coverage.ts';
import { checkTemplate } from './fillTemplate.ts';

const label = z.string().min(1);

const languageSchema = z.strictObject({
  name: label,
  labels: z.strictObject({
    instruction: label,
    input: label,
    output: label,
    noInput: label,
    example: label,
    classLabel: label,
    task: label,
  }),
  /** What stands between a label and its text. */
  colon: label,
  /** How words are counted: by spaces, or every character of the script as one. */
  words: z.enum(['spaces', 'characters']),
  min_words: z.int().min(0),
  max_words: z.int().min(1),
  /** Instructions that begin with another than an ASCII character are not taken. */
  ascii_start: z.boolean(),
  /** Unicode script that an instruction must have letters of. */
  script: z.string().optional(),
  /** How "yes" is said, in lower case. */
  yes: z.array(label).min(1),
  /** Beginnings of instructions that ask for a program. */
  program_starts: z.array(label),
});

export type Language = z.infer<typeof languageSchema>;

/** Placeholders of each prompt file. */
const templates = {
  'alpaca.txt': { required: ['examples'], optional: ['count', 'guidance', 'no_input'] },
  'alpaca-json.txt': { required: ['examples', 'count'], optional: ['guidance', 'no_input'] },
  'guidance.txt': { required: [], optional: ['topics', 'verbs'] },
  'instructions.txt': { required: ['examples'], optional: ['count', 'guidance'] },
  'instructions-json.txt': { required: ['examples', 'count'], optional: ['guidance'] },
  'instructions-classification.txt': { required: ['examples'], optional: ['count', 'guidance'] },
  'classify.txt': { required: ['instruction'], optional: [] },
  'input-first.txt': { required: ['instruction'], optional: [] },
  'output-first.txt': { required: ['instruction'], optional: [] },
} as const;
export type TemplateName = keyof typeof templates;

/** Every file of a prompt folder. */
export const promptFiles: readonly string[] = [
  ...Object.keys(templates),
  'finetuning.txt',
  'language.json',
  'keywords.txt',
  'refusals.txt',
  'verbs.txt',
  'topics.txt',
];

export interface PromptSet {
  language: Language;
  labels: Labels;
  templates: Readonly<Record<TemplateName, string>>;
  /** Ways to write a task for fine-tuning, with {{instruction}} and {{input}}. */
  finetuning: readonly string[];
  keywords: readonly string[];
  /** Beginnings of answers that refuse, in lower case; none where the folder has no such file. */
  refusals: readonly string[];
  verbs: readonly string[];
  topics: readonly Topic[];
  /** The files as they were, by name. */
  files: Readonly<Record<string, string>>;
}

/** Lines of a list file: no comments, no blank ones. */
const listOf = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

/**
 * @param where the folder, for messages.
 * @throws HuacayaError TEMPLATE_INVALID (exit code 2) naming the file and what is wrong in it.
 */
export function parsePromptSet(where: string, files: Readonly<Record<string, string>>): PromptSet {
  const fail = (file: string, what: string, cause?: unknown) =>
    new HuacayaError('TEMPLATE_INVALID', `${where}/${file}: ${what}`, {
      hint: 'Compare it with the file of the same name in templates/instruct/en.',
      exitCode: 2,
      cause,
    });
  const text = (file: string) => {
    const found = files[file];
    if (found === undefined) throw fail(file, 'is missing');
    return found.replace(/^\ufeff/, '').replaceAll('\r\n', '\n');
  };
  for (const [file, names] of Object.entries(templates)) checkTemplate(`${where}/${file}`, text(file), names);
  let json: unknown;
  try {
    json = JSON.parse(text('language.json'));
  } catch (cause) {
    throw fail('language.json', 'is not JSON', cause);
  }
  const language = languageSchema.safeParse(json);
  if (!language.success) {
    const issue = language.error.issues[0]!;
    throw fail('language.json', `${issue.path.join('.') || 'the whole'}: ${issue.message}`);
  }
  const finetuning = text('finetuning.txt').replace(/\n$/, '').split('\n===\n');
  const withInput = finetuning.filter((t) => t.includes('{{input}}')).length;
  if (withInput === 0 || withInput === finetuning.length) {
    throw fail('finetuning.txt', 'needs forms with {{input}} and forms without');
  }
  const names = Object.keys(templates) as TemplateName[];
  return {
    language: language.data,
    labels: language.data.labels,
    templates: Object.fromEntries(names.map((n) => [n, text(n).replace(/\n+$/, '')])) as Record<TemplateName, string>,
    finetuning,
    keywords: listOf(text('keywords.txt')),
    refusals: listOf((files['refusals.txt'] ?? '').toLowerCase()),
    verbs: listOf(text('verbs.txt')),
    topics: parseTopics(listOf(text('topics.txt'))),
    files,
  };
}
