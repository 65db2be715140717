// instruct answer, judge and evolve from outside, with a teacher on this machine.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOneError, runCli } from '../helpers/runCli.ts';
import { startTeacherServer } from '../helpers/teacherServer/index.ts';
import { temporaryFolder } from '../helpers/tinyModel.ts';

const folder = temporaryFolder();
const cwd = folder.path;
let server: Awaited<ReturnType<typeof startTeacherServer>>;
let asked = 0;

/** The judge likes "four"; answers differ from request to request. */
function answer(prompt: string): string {
  asked++;
  if (prompt.includes('Someone who is learning')) return `Well.\nScore: ${/<answer>\s*four/.test(prompt) ? 5 : 2}`;
  if (prompt.includes('Rewrite the task below'))
    return prompt.includes('Name a fish') ? 'x' : 'Add three numbers and explain each step.';
  if (prompt.includes('Name a fish')) return "I'm sorry, but I cannot do that.";
  return asked % 2 ? 'four' : '4';
}

beforeAll(async () => {
  server = await startTeacherServer({ faults: 0, answer });
  const rows = ['{"instruction":"Add the numbers.","input":"2, 2"}', '{"instruction":"Name a fish."}'];
  writeFileSync(join(cwd, 'tasks.jsonl'), `${rows.join('\n')}\n`);
});
afterAll(async () => {
  await server.close();
  folder.remove();
});

const cli = (args: string) =>
  runCli(`instruct ${args} --model teacher --concurrency 1 --base-url ${server.url}`.split(' '), { cwd });
const json = (path: string) => JSON.parse(readFileSync(join(cwd, path), 'utf8'));

describe('answer', () => {
  it('writes rows for training, without refusals, and asks nothing twice', async () => {
    const first = await cli('answer --data-path tasks.jsonl --out one');
    expect(first).toMatchObject({ code: 0 });
    expect(json('one/alpaca_data.json')).toEqual([
      { instruction: 'Add the numbers.', input: '2, 2', output: expect.stringMatching(/^(four|4)$/) },
    ]);
    expect(first.stderr).toMatch(/written +1 rows; left out: 1 refused/);
    const before = asked;
    expect((await cli('answer --data-path tasks.jsonl --out one')).stdout).toBe(first.stdout);
    expect(asked).toBe(before);
  });

  it('makes pairs of a good and a bad one', async () => {
    const { code } = await cli('answer --data-path tasks.jsonl --limit 1 --n 2 --keep pairs --out pairs');
    expect(code).toBe(0);
    expect(json('pairs/preferences.jsonl')).toEqual({
      prompt: 'Add the numbers.\n\n2, 2',
      instruction: 'Add the numbers.',
      input: '2, 2',
      chosen: 'four',
      rejected: '4',
      chosen_score: 5,
      rejected_score: 2,
    });
  });
});

it('judge keeps the good rows and every mark', async () => {
  const rows = ['four', 'five'].map((output) => ({ instruction: 'Add the numbers.', input: '2, 2', output }));
  writeFileSync(join(cwd, 'rows.json'), JSON.stringify(rows));
  expect((await cli('judge --data-path rows.json --out good')).stderr).toMatch(/left out: 1 below 4/);
  expect(json('good/alpaca_data.json')).toEqual([rows[0]]);
  const scores = readFileSync(join(cwd, 'good/scores.jsonl'), 'utf8').trim().split('\n');
  expect(scores.map((text) => JSON.parse(text).score)).toEqual([5, 2]);
});

it('evolve makes new tasks and answers them', async () => {
  const { code, stderr } = await cli('evolve --data-path tasks.jsonl --out harder');
  expect(code).toBe(0);
  expect(stderr).toMatch(/new +1 tasks; left out: 1 too short/);
  expect(json('harder/alpaca_data.json')).toMatchObject([{ instruction: 'Add three numbers and explain each step.' }]);
});

it('check finds rows of an evaluation set', async () => {
  const rows = ['Name three rivers that flow through Paris.', 'Why is the sky blue?'];
  writeFileSync(join(cwd, 'data.json'), JSON.stringify(rows.map((instruction) => ({ instruction, output: 'x' }))));
  writeFileSync(join(cwd, 'eval.jsonl'), '{"instruction":"Name three rivers which flow through Paris"}\n');
  const args = 'instruct check --data-path data.json --against eval.jsonl --clean clean.json';
  const { code, stdout, stderr } = await runCli(args.split(' '), { cwd });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^data\.json:1 +similar 0\.\d\d +eval\.jsonl:1 /);
  expect(stderr).toMatch(/1 of 2 rows; the others: clean\.json/);
  expect(json('clean.json')).toMatchObject([{ instruction: 'Why is the sky blue?' }]);
});

it('says what is missing', async () => {
  expectOneError(await cli('answer --data-path tasks.jsonl --keep pairs --out p'), 2, /needs several answers/);
  expectOneError(await cli('judge --data-path tasks.jsonl --out j'), 1, /tasks\.jsonl:1: the row has no "output"/);
});
