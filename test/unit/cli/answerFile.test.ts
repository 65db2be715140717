// The file of a batch's answers: whatever stopped the run before, no answer is lost, made twice, or somebody else's.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { planAnswerFile } from '../../../src/cli/batch/answerFile.ts';
import { encodeLine, keyOf } from '../../../src/cli/batch/answerLine.ts';

const folder = mkdtempSync(join(tmpdir(), 'huacaya-answers-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const fresh = () => join(folder, `${files++}.jsonl`);

const settings = 'abc';
const question = (n: number, text = `Question ${n}`) => ({ instruction: text, input: '' });
const keys = Array.from({ length: 6 }, (_, i) => keyOf(question(i + 1)));
const line = (row: number, output = `Ä ${row}\n`) => ({
  row,
  key: keys[row - 1]!,
  settings,
  ...question(row),
  output,
});
const whole = (...rows: number[]) => rows.map((row) => encodeLine(line(row))).join('');
const plan = (path: string, more: Partial<Parameters<typeof planAnswerFile>[1]> = {}) =>
  planAnswerFile(path, { keys, settings, overwrite: false, ...more });

/** Answers rows as a run does. */
async function answer(path: string, rows: readonly number[], more: Parameters<typeof plan>[1] = {}) {
  const file = await (await plan(path, more)).open();
  await Promise.all(rows.map((row) => file.append({ ...line(row), key: more.keys?.[row - 1] ?? keys[row - 1]! })));
  await file.finish();
  await file.close();
}
const text = (path: string) => readFileSync(path, 'utf8');

it('a new file is in the order of the rows, however they came', async () => {
  const path = join(folder, 'new', 'folder', 'a.jsonl');
  await answer(path, [3, 1, 2]);
  expect(text(path)).toBe(whole(1, 2, 3));
});

it('a file that was cut anywhere is mended and completed', async () => {
  const full = Buffer.from(whole(1, 2, 3, 4, 5, 6));
  const path = fresh();
  const property = fc.asyncProperty(fc.integer({ min: 0, max: full.length }), async (length) => {
    writeFileSync(path, full.subarray(0, length));
    const { answered } = await plan(path);
    const lines = full.subarray(0, length).toString().split('\n').length - 1;
    // A line of which only the line break is missing is whole.
    expect([lines, lines + 1]).toContain(answered.size);
    await answer(
      path,
      [1, 2, 3, 4, 5, 6].filter((row) => !answered.has(row)),
    );
    expect(text(path)).toBe(full.toString());
  });
  await fc.assert(property, { numRuns: 60 });
});

it('zeros at the end, as a crash of the machine leaves them, are cut off', async () => {
  const path = fresh();
  writeFileSync(path, `${whole(1)}\0\0\0\0`);
  await answer(path, [2]);
  expect(text(path)).toBe(whole(1, 2));
});

it('a row that has changed is answered again, in its place', async () => {
  const path = fresh();
  await answer(path, [1, 2, 3]);
  const changed = [...keys];
  changed[1] = keyOf(question(2, 'Another'));
  const now = await plan(path, { keys: changed });
  expect([...now.answered]).toEqual([1, 3]);
  expect(now.changed).toBe(1);
  await answer(path, [2], { keys: changed });
  const rows = text(path)
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));
  expect(rows.map((r) => [r.row, r.key])).toEqual([1, 2, 3].map((row) => [row, changed[row - 1]]));
});

it('answers of rows that are not in the data any more stay', async () => {
  const path = fresh();
  await answer(path, [1, 2, 6]);
  const now = await plan(path, { keys: keys.slice(0, 3) });
  expect({ answered: [...now.answered], changed: now.changed }).toEqual({ answered: [1, 2], changed: 0 });
  await answer(path, [3], { keys: keys.slice(0, 3) });
  expect(text(path)).toBe(whole(1, 2, 3, 6));
});

describe('is refused, and left as it is:', () => {
  it.each([
    ['notes', 'my notes'],
    ['rows of data', '{"instruction":"a","output":"b"}\n'],
    ['a list', '[]\n'],
    ['an answer and then something else', `${whole(1)}hello\n${whole(2)}`],
    ['a broken line in the middle', `${whole(1).slice(0, 30)}\n${whole(2)}`],
    ['other words at the end', `${whole(1)}hello`],
    ['a row of no number', '{"row":"x","key":"","settings":"abc"}\n'],
    ['an empty line', `${whole(1)}\n${whole(2)}`],
  ])('%s', async (_, content) => {
    const path = fresh();
    writeFileSync(path, content);
    await expect(plan(path)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/jsonl:\d: is no answer/),
    });
    expect(text(path)).toBe(content);
  });

  it('answers with other settings', async () => {
    const path = fresh();
    await answer(path, [1]);
    await expect(plan(path, { settings: 'xyz' })).rejects.toMatchObject({ code: 'USAGE' });
    expect(text(path)).toBe(whole(1));
  });

  it('a folder', async () => {
    const path = fresh();
    mkdirSync(path);
    await expect(plan(path)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});

it('is replaced with overwrite, and only once it is opened', async () => {
  const path = fresh();
  writeFileSync(path, 'my notes');
  const replaced = await plan(path, { overwrite: true });
  expect(text(path)).toBe('my notes');
  const file = await replaced.open();
  await file.append(line(1));
  await file.close();
  expect(text(path)).toBe(whole(1));
});

it('planning makes no file', async () => {
  const path = fresh();
  expect((await plan(path)).answered.size).toBe(0);
  expect(existsSync(path)).toBe(false);
});
