// Runs in folders, with the real teacher room against a teacher on loopback.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatSeedTasks } from '../../../../src/selfinstruct/files/seedTasks.ts';
import { readInputs } from '../../../../src/selfinstruct/pipelines/runFolder.ts';
import { replayInstruct, runInstruct } from '../../../../src/selfinstruct/pipelines/runInstruct.ts';
import type { Recipe } from '../../../../src/selfinstruct/recipe/schema.ts';
import { createTeacher } from '../../../../src/selfinstruct/teacher/createTeacher.ts';
import type { TeacherOptions } from '../../../../src/selfinstruct/teacher/options.ts';
import { startTeacherServer, type TeacherServer } from '../../../helpers/teacherServer/index.ts';
import { recipeOf, seeds, templates } from './helpers.ts';

let folder: string;
let server: TeacherServer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'huacaya-run-'));
  writeFileSync(join(folder, 'en.jsonl'), formatSeedTasks(seeds));
  server = await startTeacherServer({ seed: 3 });
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const json = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));

async function inputsOf(name: string, recipe: Recipe, prompts = templates) {
  const inputs = await readInputs(join(folder, name), recipe, { seeds: folder, prompts });
  return { inputs, recipe, recipeText: 'seed: 1\n' };
}

async function run(
  name: string,
  over: Record<string, unknown> = {},
  teacher: Partial<TeacherOptions> = {},
  prompts?: string,
) {
  const given = await inputsOf(name, recipeOf({ num: 80, ...over }), prompts);
  const endpoint = { url: server.url, model: 'teacher', price: { input: 1, output: 10 } };
  const openTeacher = (path: string) => createTeacher({ folder: path, endpoints: [endpoint], ...teacher });
  return runInstruct({ ...given, openTeacher });
}

describe('a run', () => {
  it('stops at its budget with what it has, and with a larger one ends as if it had never stopped', async () => {
    const failure = await run('poor', {}, { budget: { cost: 0.06 } }).catch((error) => error);
    expect(failure.code).toBe('BUDGET_SPENT');
    const there = json('poor/alpaca_data.json');
    const { spent, complete } = json('poor/summary.json');
    expect({ complete, some: there.length > 0, all: there.length === 80 }).toEqual({
      complete: false,
      some: true,
      all: false,
    });
    expect(spent.cost).toBeLessThanOrEqual(0.06);
    await run('poor', {}, { budget: { cost: 9 } });
    await run('rich');
    expect(json('poor/regen.json')).toEqual(json('rich/regen.json'));
    expect([...server.paid().values()].filter((times) => times !== 1)).toEqual([]);
  });

  it('made longer is the run that was long from the start', async () => {
    await run('longer', { num: 30 });
    expect(json('longer/alpaca_data.json')).toHaveLength(30);
    await run('longer', { num: 90 });
    await run('long', { num: 90 });
    expect(json('longer/regen.json')).toEqual(json('long/regen.json'));
    expect(json('longer/summary.json').spent).toEqual(json('long/summary.json').spent);
  });

  it('keeps its own seeds and prompts, whatever becomes of those it was started with', async () => {
    const prompts = join(folder, 'prompts');
    cpSync(templates, prompts, { recursive: true });
    await run('kept', { num: 20 }, {}, prompts);
    writeFileSync(join(prompts, 'en', 'alpaca.txt'), 'Other words. {{examples}}');
    writeFileSync(join(folder, 'en.jsonl'), formatSeedTasks(seeds.slice(0, 5)));
    await run('kept', { num: 60 }, {}, prompts);
    expect(json('kept/alpaca_data.json')).toHaveLength(60);
    expect(server.asked.some(({ body }) => JSON.stringify(body).includes('Other words.'))).toBe(false);
    // Changed inside the run, it would be another run.
    writeFileSync(join(folder, 'kept', 'prompts', 'alpaca.txt'), 'Other words. {{examples}}');
    await expect(run('kept', { num: 60 })).rejects.toMatchObject({ code: 'TEACHER_CHANGED' });
  });

  it('tells from its journal what it has and what it would ask next', async () => {
    const recipe = recipeOf({ num: 80 });
    expect((await replayInstruct(await inputsOf('replayed', recipe))).missing.map(({ id }) => id)).toEqual([
      'tasks/0',
      'tasks/1',
      'tasks/2',
      'tasks/3',
    ]);
    await run('replayed', { num: 30 });
    const { summary, missing } = await replayInstruct(await inputsOf('replayed', recipe));
    expect(summary).toMatchObject({ complete: false });
    expect(summary!.accepted).toBeGreaterThanOrEqual(30);
    expect(missing[0]!.id).toBe(`tasks/${summary!.answers}`);
    await run('replayed', { num: 80 });
    expect(await replayInstruct(await inputsOf('replayed', recipe))).toMatchObject({
      summary: { complete: true },
      missing: [],
    });
  });

  it('takes nothing away that is not its own, and does not write over data that is there', async () => {
    mkdirSync(join(folder, 'mine', 'finetuning'), { recursive: true });
    writeFileSync(join(folder, 'mine', 'finetuning', 'weights.bin'), 'x');
    await run('mine', { num: 20 });
    expect(existsSync(join(folder, 'mine', 'finetuning', 'weights.bin'))).toBe(true);
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data', 'alpaca_data.json'), '[]');
    await expect(run('data', { num: 20 })).rejects.toMatchObject({ code: 'USAGE' });
    expect(json('data/alpaca_data.json')).toEqual([]);
  });
});
