// The form of the bundled example data: the habit it teaches has to be in every row.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readRecords } from '../../../src/data/node.ts';

const read = async (file: string) =>
  (await readRecords(fileURLToPath(new URL(`../../../examples/${file}`, import.meta.url)))).records;
const train = await read('in-short.jsonl');
const heldOut = await read('in-short.heldout.jsonl');
const question = (row: { instruction: string; input: string }) => `${row.instruction}\n${row.input}`.toLowerCase();

describe.each([
  ['in-short.jsonl', train, 200],
  ['in-short.heldout.jsonl', heldOut, 24],
] as const)('%s', (_, rows, count) => {
  it('has the promised number of rows, a quarter of them with an input', () => {
    expect(rows).toHaveLength(count);
    expect(rows.filter((row) => row.input !== '')).toHaveLength(count / 4);
  });

  it('answers in one or two sentences of 8 to 30 words, then closes with the line', () => {
    for (const { output, line } of rows) {
      const [answer = '', closing = '', ...rest] = output.split('\n');
      expect(rest, `line ${line}`).toEqual([]);
      const words = answer.split(' ').length;
      expect(words, answer).toBeGreaterThanOrEqual(8);
      expect(words, answer).toBeLessThanOrEqual(30);
      expect(answer).toMatch(/^[A-Z].*[.!?]"?$/);
      expect(answer.match(/[.!?]"?(?=\s|$)/g)!.length, answer).toBeLessThanOrEqual(2);
      expect(closing).toMatch(/^In short: \S+(?: \S+){1,5} 🦙$/u);
      expect(closing).not.toMatch(/[.!?] 🦙$/u);
    }
  });

  it('is trimmed and has neither a line break in an instruction nor a doubled space', () => {
    for (const { instruction, input, output } of rows) {
      for (const text of [instruction, input, output]) expect(text).toBe(text.trim());
      expect(instruction).not.toBe('');
      expect(instruction).not.toMatch(/\n| {2}/);
      expect(output).not.toContain('  ');
    }
  });
});

it('asks nothing twice, not even across the two files, and closes every answer in its own words', () => {
  const all = [...train, ...heldOut];
  expect(new Set(all.map(question)).size).toBe(all.length);
  expect(new Set(all.map((row) => row.output.split('\n')[1])).size).toBe(all.length);
  const trained = new Set(train.map((row) => row.instruction.toLowerCase()));
  expect(heldOut.filter((row) => trained.has(row.instruction.toLowerCase()))).toEqual([]);
});
