// The prompts that judge answers and change tasks: a folder of text files that a user may copy and edit.
import { HuacayaError } from '../../base/index.ts';
import { checkTemplate } from '../prompts/fillTemplate.ts';

const templates = {
  'judge.txt': { required: ['instruction', 'output'], optional: ['input'] },
  'evolve-deeper.txt': { required: ['instruction'], optional: [] },
  'evolve-broader.txt': { required: ['instruction'], optional: [] },
} as const;
type TemplateName = keyof typeof templates;

export const refineFiles: readonly string[] = Object.keys(templates);

export interface RefinePrompts {
  judge: string;
  deeper: string;
  broader: string;
}

/**
 * @param where the folder, for messages.
 * @throws HuacayaError TEMPLATE_INVALID (exit code 2) naming the file and what is wrong in it.
 */
export function parseRefinePrompts(where: string, files: Readonly<Record<string, string>>): RefinePrompts {
  const text = (file: string) => {
    const found = files[file];
    if (found !== undefined) return found.replaceAll('\r\n', '\n').replace(/\n+$/, '');
    throw new HuacayaError('TEMPLATE_INVALID', `${where}/${file}: is missing`, {
      hint: 'Compare the folder with templates/refine/en.',
      exitCode: 2,
    });
  };
  for (const name of Object.keys(templates) as TemplateName[])
    checkTemplate(`${where}/${name}`, text(name), templates[name]);
  return { judge: text('judge.txt'), deeper: text('evolve-deeper.txt'), broader: text('evolve-broader.txt') };
}
