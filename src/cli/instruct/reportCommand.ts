// huacaya instruct report: one page about what a run brought.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Command } from 'commander';
import { HuacayaError, usageError } from '../../base/index.ts';
import { fileError, writeFileAtomic } from '../../base/node.ts';
import {
  type Accepted,
  parseMachineInstructions,
  parseRegen,
  recipeKeys,
  reportPage,
} from '../../selfinstruct/index.ts';
import { recipeFile } from '../../selfinstruct/node.ts';
import type { Output } from '../output.ts';
import { readYamlSettings } from '../yamlSettings.ts';

export function reportCommand(getOutput: () => Output): Command {
  const command = new Command('report')
    .description('write a page about a run: verbs, lengths, why candidates were dropped, cost')
    .option('--page <file>', 'where to write it (default: <out>/report.html)')
    .exitOverride();
  command.action(async () => {
    const { out: folder, page } = command.optsWithGlobals<{ out?: string; page?: string }>();
    if (folder === undefined) throw usageError('--out is missing', 'Name the folder of the run.');
    const out = getOutput();
    const path = page ?? join(folder, 'report.html');
    await writeFileAtomic(path, await pageOf(folder));
    if (out.format === 'human') out.data(path);
    out.json({ type: 'report', page: path });
  });
  return command;
}

async function pageOf(folder: string): Promise<string> {
  const read = (name: string) =>
    readFile(join(folder, name), 'utf8').catch((cause) => {
      throw fileError(join(folder, name), cause);
    });
  if (!existsSync(join(folder, 'history.jsonl'))) {
    throw new HuacayaError('FILE_NOT_FOUND', `${folder}: holds no results of a run`, {
      hint: `If it was killed before it wrote any, let it go on: huacaya instruct --out ${folder}.`,
    });
  }
  const { language, endpoints } = await readYamlSettings(join(folder, recipeFile), recipeKeys);
  const history = (await read('history.jsonl')).split('\n').filter((line) => line !== '');
  const priced = Array.isArray(endpoints) && endpoints.some((endpoint) => endpoint?.prices);
  return reportPage({
    title: basename(resolve(folder)),
    language: String(language),
    accepted: await acceptedOf(folder, read),
    history: history.map((line) => JSON.parse(line)),
    ...(priced ? {} : { currency: '' }),
  });
}

async function acceptedOf(folder: string, read: (name: string) => Promise<string>): Promise<Accepted[]> {
  const name = 'machine_generated_instructions.jsonl';
  if (!existsSync(join(folder, name))) return parseRegen('regen.json', await read('regen.json'));
  return parseMachineInstructions(name, await read(name)).map(({ instruction, nearest, mean, requestIndex }) => ({
    instruction,
    input: '',
    output: '',
    request: requestIndex,
    nearest,
    mean,
  }));
}
