// The four-stage pipeline: settings as published, its files, and going on with a run of the original scripts.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRng } from '../../../../src/base/index.ts';
import { formatSeedTasks } from '../../../../src/selfinstruct/files/seedTasks.ts';
import { readInputs } from '../../../../src/selfinstruct/pipelines/runFolder.ts';
import { runInstruct } from '../../../../src/selfinstruct/pipelines/runInstruct.ts';
import type { TeacherRequest } from '../../../../src/selfinstruct/teacher/types.ts';
import { blocks, type FakeTeacher, fakeTeacher, recipeOf, seeds, templates } from './helpers.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'huacaya-stages-'));
  writeFileSync(join(folder, 'en.jsonl'), formatSeedTasks(seeds));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const out = () => join(folder, 'run');
const read = (name: string) => readFileSync(join(out(), name), 'utf8');
const rows = (name: string) =>
  read(name)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

async function run(teacher: FakeTeacher, over: Record<string, unknown> = {}) {
  const recipe = recipeOf({ pipeline: 'self-instruct', prompt_tasks: 8, machine_tasks: 2, num: 8, ...over });
  const inputs = await readInputs(out(), recipe, { seeds: folder, prompts: templates });
  return runInstruct({ inputs, recipe, recipeText: `seed: ${recipe.seed}\n`, openTeacher: () => teacher });
}

/** Four instructions an answer; every other one is classification; two instances each. */
function answer({ id, prompt }: TeacherRequest) {
  const rng = createRng(3).fork(id);
  const [stage, n] = id.split('/') as [string, string];
  const word = () => rng.uint32().toString(36);
  if (stage === 'instructions') {
    const first = Number(/(\d+)\.$/.exec(String(prompt))![1]);
    const list = Array.from(
      { length: 4 },
      (_, k) => `${k === 0 ? '' : `\n${first + k}.`} Tell NASA of ${word()} ${word()} ${word()}`,
    );
    return list.join('');
  }
  if (stage === 'classification') return Number(n) % 2 ? ' Yes' : ' No';
  return Number(n) % 2
    ? 'Class label: good\nInput: bread\nClass label: bad\nsoup'
    : {
        text: `Example 1\nInput: a ${n}\nOutput: b\nExample 2\nInput: field: c\nOutput: d\nExample 3\nInput: e`,
        finishReason: 'length' as const,
      };
}

describe('self-instruct', () => {
  it('asks every stage as published, and writes the files of the four scripts', async () => {
    const teacher = fakeTeacher(answer);
    const summary = await run(teacher, { style: 'faithful', include_seeds: true, sample_instructions: 3 });
    expect(summary).toMatchObject({ complete: true, accepted: 8, rows: 16, answers: 18, rejected: { truncated: 4 } });
    const ask = (id: string) => teacher.asked.find((request) => request.id === id)!;
    expect(ask('instructions/0').sampling).toEqual({
      temperature: 0.7,
      topP: 0.5,
      maxTokens: 1024,
      stop: ['\n\n', '\n16', '16.', '16 .'],
      presencePenalty: 2,
      frequencyPenalty: 0,
    });
    expect(String(ask('instructions/0').prompt)).toMatch(/\n8\. .*\n9\.$/);
    expect(ask('classification/3').sampling).toEqual({ temperature: 0, topP: 0, maxTokens: 3, stop: ['\n', 'Task'] });
    const instances = {
      temperature: 0,
      topP: 0,
      frequencyPenalty: 0,
      presencePenalty: 1.5,
      stop: ['Example 6', 'Task:'],
    };
    expect(ask('instances/3').sampling).toEqual({ ...instances, maxTokens: 300 });
    expect(ask('instances/4').sampling).toEqual({ ...instances, maxTokens: 350 });
    expect(String(ask('instances/4').prompt)).toMatch(/\nTask: Tell nasa of [^\n]+\n$/);

    const [first] = rows('machine_generated_instructions.jsonl');
    expect(Object.keys(first)).toEqual([
      'instruction',
      'most_similar',
      'avg_similarity_score',
      'metadata',
      'request_idx',
    ]);
    expect(first.metadata).toMatchObject({
      response: { choices: [{ finish_reason: 'stop' }] },
      created_at: '2023-11-14 22:13:20.250000',
    });
    expect(rows('is_clf_or_not_teacher_template_1.jsonl')[1].is_classification).toBe(' Yes');
    expect(Object.keys(rows('machine_generated_instances.jsonl')[0])).toEqual([
      'instruction',
      'raw_instances',
      'instance_metadata',
      'instruction_metadata',
      'most_similar',
      'avg_similarity_score',
    ]);
    expect(rows('finetuning/all_generated_instances.jsonl')).toHaveLength(16);
    expect(rows('finetuning/sampled_generated_instances_3.jsonl')).toHaveLength(6);
    const [pairs] = readdirSync(join(out(), 'finetuning')).filter((name) => name.startsWith('gpt3_finetuning_data_'));
    const data: { prompt: string; completion: string }[] = rows(`finetuning/${pairs}`);
    // 6 of the sampled instructions, 10 seeds.
    expect(data).toHaveLength(16);
    for (const { prompt, completion } of data) {
      expect(completion).toMatch(/<\|endoftext\|>$/);
      expect(completion.startsWith(' ')).toBe(prompt.endsWith(':'));
    }
  });

  it('keeps capitals in improved style, and asks only classification tasks where that is wanted', async () => {
    const teacher = fakeTeacher(answer);
    await run(teacher, { classification_only: true, num: 4 });
    expect(rows('machine_generated_instructions.jsonl')[0].instruction).toMatch(/^Tell NASA of/);
    const shown = String(teacher.asked[0]!.prompt);
    expect(shown).toContain('Decide whether the review is good or bad.');
    expect(shown).not.toContain('bread rises');
  });

  it('goes on with a run of the original scripts, without asking again what they asked', async () => {
    mkdirSync(out());
    const metadata = {
      prompt: 'p',
      response: { choices: [{ text: 't', finish_reason: 'stop' }] },
      created_at: '2022-12-03',
    };
    const old = ['List three old rivers of Spain.', 'Is this old text a poem or prose?'].map((instruction) => ({
      instruction,
      most_similar: { x: 0.25 },
      avg_similarity_score: 0.125,
      metadata,
      request_idx: 4,
    }));
    const dump = (list: unknown[]) => list.map((row) => `${JSON.stringify(row)}\n`).join('');
    // The script was killed while it wrote the last line.
    writeFileSync(join(out(), 'machine_generated_instructions.jsonl'), `${dump(old)}{"instruction": "Cut`);
    writeFileSync(
      join(out(), 'is_clf_or_not_davinci_template_1.jsonl'),
      dump([{ instruction: old[1]!.instruction, is_classification: ' Yes' }]),
    );
    const teacher = fakeTeacher(answer);
    const summary = await run(teacher, { style: 'faithful', num: 6 });
    expect(summary).toMatchObject({ accepted: 6, complete: true });
    const made = rows('machine_generated_instructions.jsonl');
    expect(made.slice(0, 2)).toEqual(old);
    expect(made[2].request_idx).toBe(5);
    const ids = teacher.asked.map(({ id }) => id);
    expect(ids).toContain('classification/0');
    expect(ids).not.toContain('classification/1');
    expect(ids).toContain('instances/1');
    // Again: everything comes from the journal and from what was kept of the original run.
    const before = read('machine_generated_instructions.jsonl');
    await run(fakeTeacher(answer), { style: 'faithful', num: 6 });
    expect(read('machine_generated_instructions.jsonl')).toBe(before);
  });

  it('goes on with a regen.json of stanford_alpaca byte by byte', async () => {
    const regen = `[
    {
        "instruction": "Caf\\u00e9: name three kinds of it.",
        "input": "",
        "output": "Espresso, mocha, latte.",
        "most_similar_instructions": {
            "Name three rivers that flow into the Black Sea.": 0.2857142857142857,
            "Sort the given words by their length.": 0.0
        },
        "avg_similarity_score": 1.5e-05
    }
]`;
    mkdirSync(out());
    writeFileSync(join(out(), 'regen.json'), regen);
    const over = { pipeline: 'alpaca', style: 'faithful' };
    const summary = await run(fakeTeacher(blocks), { ...over, num: 4 });
    expect(summary).toMatchObject({ accepted: 4, complete: true });
    expect(read('regen.json').startsWith(`${regen.slice(0, -2)},\n    {\n        "instruction": "Describe`)).toBe(true);
  });
});
