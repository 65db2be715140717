// The words that mark the parts of a task in prompts and answers. English ones are understood in every language.

export interface Labels {
  instruction: string;
  input: string;
  output: string;
  /** Stands in prompts where a task has no input. */
  noInput: string;
  example: string;
  classLabel: string;
  task: string;
}

export const englishLabels: Labels = {
  instruction: 'Instruction',
  input: 'Input',
  output: 'Output',
  noInput: '<noinput>',
  example: 'Example',
  classLabel: 'Class label',
  task: 'Task',
};

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A regular expression's source that matches the label in this language or in English. */
export function labelPattern(labels: Labels, name: keyof Labels): string {
  const words = new Set([labels[name], englishLabels[name]]);
  return `(?:${[...words].map(literal).join('|')})`;
}

/** "no input" in the ways that teachers write it. */
export function isNoInput(text: string, labels: Labels): boolean {
  const plain = text.trim().toLowerCase();
  if (plain === labels.noInput.toLowerCase()) return true;
  return /^[<([]?\s*(?:no\s?-?input|n\/a|none|empty|无输入|无)\s*[>)\]]?\.?$/i.test(plain);
}
