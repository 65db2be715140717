// Seed tasks: seed_tasks.jsonl of Self-Instruct and Alpaca, or any file of instruction rows.
import { HuacayaError } from '../../base/index.ts';
import { parseRecords } from '../../data/index.ts';
import type { SeedTask } from '../task.ts';
import { parseJsonLines } from './jsonLines.ts';
import { pythonJson } from './pythonJson.ts';

const shape = 'A seed task has "instruction", "instances": [{"input", "output"}] and "is_classification".';

function toSeed(name: string, line: number, row: Record<string, unknown>, index: number): SeedTask {
  const fail = (what: string) => new HuacayaError('SEED_ROW', `${name}:${line}: ${what}`, { hint: shape });
  const { instruction, instances } = row;
  if (typeof instruction !== 'string' || instruction.trim() === '') throw fail('"instruction" must be a text');
  if (!Array.isArray(instances) || instances.length === 0) throw fail('"instances" must be a list with one at least');
  return {
    id: typeof row.id === 'string' ? row.id : `seed_task_${index}`,
    name: typeof row.name === 'string' ? row.name : '',
    instruction,
    instances: instances.map((instance: Record<string, unknown> | null) => {
      const { input = '', output } = instance ?? {};
      if (typeof input !== 'string' || typeof output !== 'string') {
        throw fail('"input" and "output" of an instance must be texts');
      }
      return { input, output };
    }),
    isClassification: row.is_classification === true,
  };
}

/**
 * Seeds of a file, in its order. Rows of {instruction, input, output} (a list or lines) are taken as well, as not classifying.
 * @throws HuacayaError SEED_ROW, SEED_EMPTY, DATA_* with file and line.
 */
export function parseSeedTasks(name: string, text: string): SeedTask[] {
  const plain = /^\ufeff?\s*\[/.test(text) || !/"instances"\s*:/.test(text);
  const seeds = plain
    ? parseRecords(name, text).records.map(({ instruction, input, output }, i) => ({
        id: `seed_task_${i}`,
        name: '',
        instruction,
        instances: [{ input, output }],
        isClassification: false,
      }))
    : parseJsonLines(name, text).map(({ line, value }, i) => toSeed(name, line, value, i));
  if (seeds.length === 0) throw new HuacayaError('SEED_EMPTY', `${name}: holds no seed tasks`, { hint: shape });
  return seeds;
}

/** seed_tasks.jsonl as Python writes it. */
export function formatSeedTasks(seeds: readonly SeedTask[], ascii = true): string {
  const row = ({ id, name, instruction, instances, isClassification }: SeedTask) =>
    pythonJson({ id, name, instruction, instances, is_classification: isClassification }, { ascii });
  return seeds.map((seed) => `${row(seed)}\n`).join('');
}
