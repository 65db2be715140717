import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HuacayaError } from '../../../src/base/index.ts';
import { parseRecords } from '../../../src/data/index.ts';
import { readRecords } from '../../../src/data/node.ts';

/** The error that `work` throws, as `code message`. */
function failure(work: () => unknown): HuacayaError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(HuacayaError);
    return error as HuacayaError;
  }
  throw new Error('expected an error');
}
const parseFailure = (text: string) => failure(() => parseRecords('d.json', text));

describe('JSON list', () => {
  it('gives rows with the line where each starts', () => {
    const text =
      '\n[\n  {"instruction": "a", "output": "b"},\n\n  {\n "input": "i",\n "instruction": "c", "output": "d"}, {"instruction": "e", "input": null, "output": ""}\n]\n';
    expect(parseRecords('d', text).records).toEqual([
      { instruction: 'a', input: '', output: 'b', line: 3 },
      { instruction: 'c', input: 'i', output: 'd', line: 5 },
      { instruction: 'e', input: '', output: '', line: 7 },
    ]);
  });

  it('is not misled by brackets, quotes and escapes inside strings, nor by other keys', () => {
    const row = {
      instruction: ']},{"\\',
      input: '\n"[',
      output: '🦙\u2028\\',
      meta: { tags: [[1, -2.5e3], {}, [], true, null] },
    };
    const { records } = parseRecords('d', JSON.stringify([row, row], null, 1));
    expect(records.map(({ instruction, input, output }) => [instruction, input, output])).toEqual([
      [row.instruction, row.input, row.output],
      [row.instruction, row.input, row.output],
    ]);
    expect(records[1]!.line).toBeGreaterThan(10);
  });

  it('tolerates a byte order mark and Windows line ends', () => {
    const text = '\ufeff[\r\n{"instruction":"a","output":"b"},\r\n{"instruction":"c","output":"d"}\r\n]\r\n';
    expect(parseRecords('d', text).records.map((r) => r.line)).toEqual([2, 3]);
  });
});

describe('JSON Lines', () => {
  it('is told apart by content; blank lines are skipped and counted', () => {
    const text = '\ufeff{"instruction":"a","output":"b"}\r\n\r\n  {"instruction":"c","input":"x","output":"d"}  ';
    expect(parseRecords('d', text).records).toEqual([
      { instruction: 'a', input: '', output: 'b', line: 1 },
      { instruction: 'c', input: 'x', output: 'd', line: 3 },
    ]);
  });
});

it('reads back whatever JSON.stringify writes, in both layouts', () => {
  const text = fc.string({ unit: 'binary' });
  const rows = fc.array(fc.record({ instruction: text, input: text, output: text, other: fc.jsonValue() }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(rows, fc.constantFrom(undefined, 2), (data, indent) => {
      const wanted = data.map(({ instruction, input, output }) => ({ instruction, input, output }));
      const strip = (name: string, source: string) =>
        parseRecords(name, source).records.map(({ line: _, ...rest }) => rest);
      expect(strip('list', JSON.stringify(data, null, indent))).toEqual(wanted);
      expect(strip('lines', data.map((row) => JSON.stringify(row)).join('\n'))).toEqual(wanted);
    }),
    { numRuns: 60 },
  );
});

it('accepts a text as syntactically valid exactly when JSON.parse does', () => {
  const good = '[{"instruction":"a\\u00e9","n":[1.5e-3,{"k":null}],"output":"b"}]';
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: good.length - 1 }),
      fc.constantFrom('', '"', '\\', ',', '}', ']', '{', '0', '-', '.', 'e', '\n', ' ', ':', 'x'),
      fc.boolean(),
      (at, insert, drop) => {
        const text = good.slice(0, at) + insert + good.slice(drop ? at + 1 : at);
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        let code = 'ok';
        try {
          parseRecords('d', text);
        } catch (error) {
          code = (error as HuacayaError).code;
        }
        // A row of the wrong shape is reported before what follows it is looked at.
        if (code !== 'DATA_ROW') expect(code, text).toBe(valid ? 'ok' : 'DATA_SYNTAX');
      },
    ),
    { numRuns: 500 },
  );
});

describe('broken JSON', () => {
  const row = '{"instruction":"a","output":"b"}';
  it.each([
    [
      `[\n${row}\n${row}\n]`,
      'd.json:3:1: broken JSON: expected "," before the next row or "]" at the end of the list that starts in line 1, found "{"',
    ],
    [`[\n${row},\n]`, 'd.json:3:1: broken JSON: expected a JSON value, found "]"'],
    [
      `[\n${row},\n${row}`,
      'd.json:3:33: broken JSON: expected "," before the next row or "]" at the end of the list that starts in line 1, found the end of the file',
    ],
    [`[${row}]\n\n${row}`, 'd.json:3:1: broken JSON: expected nothing after the "]" of the list, found "{"'],
    ['[\n{"instruction": "say "hi"",\n"output": "b"}]', 'd.json:2:23: broken JSON: expected "," or "}", found "h"'],
    [
      '[\n{"instruction": "a\nb"}]',
      'd.json:2:19: broken JSON: expected the closing " of a string (a line break inside a string is written \\n), found a line break',
    ],
    ["[\n\n{'instruction': 1}]", 'd.json:3:2: broken JSON: expected a key in double quotes, found "\'"'],
    [
      '[{"instruction": "C:\\dir"}]',
      'd.json:1:22: broken JSON: expected one of " \\ / b f n r t u after a backslash (a backslash itself is written \\\\), found "d"',
    ],
    ['[{"instruction" "a"}]', 'd.json:1:17: broken JSON: expected ":" after a key, found "\\""'],
    ['[{"instruction": None}]', 'd.json:1:18: broken JSON: expected a JSON value, found "N"'],
    [
      `${row}\n{"instruction":"a","output"\n`,
      'd.json:2:28: broken JSON: expected ":" after a key, found the end of the line',
    ],
    [`${row},\r\n${row}`, 'd.json:1:33: broken JSON: expected a line break after the row, found ","'],
    [
      'instruction,output\na,b',
      'd.json:1:1: broken JSON: expected "[" (a list of rows) or "{" (JSON Lines), found "i"',
    ],
  ])('%j', (text, message) => {
    const error = parseFailure(text);
    expect(error.message).toBe(message);
    expect(error.code).toBe('DATA_SYNTAX');
    expect(error.hint).toBeTruthy();
  });

  it('explains rows that span lines without being in a list', () => {
    const error = parseFailure('{\n  "instruction": "a",\n  "output": "b"\n}');
    expect(error.message).toBe('d.json:1:2: broken JSON: expected a key in double quotes, found the end of the line');
    expect(error.hint).toContain('must be in one list');
  });

  it('refuses endless nesting instead of running out of stack', () => {
    expect(parseFailure(`[{"a":${'['.repeat(100_000)}`).message).toContain('at most 200 levels of nesting');
  });
});

describe('rows of the wrong shape', () => {
  it.each([
    ['[\n"text"]', 'd.json:2: a row must be an object, but this one is a string', 'keys "instruction" and "output"'],
    ['[[]]', 'd.json:1: a row must be an object, but this one is a list', ''],
    ['[null]', 'd.json:1: a row must be an object, but this one is null', ''],
    ['[{}]', 'd.json:1: the row has no "instruction"; it has no keys', ''],
    [
      '\n{"prompt":"a","completion":"b"}',
      'd.json:2: the row has no "instruction"; its keys are "prompt", "completion"',
      'Did you mean "prompt"?',
    ],
    [
      '[{"instruction":"a","Response":"b"}]',
      'd.json:1: the row has no "output"; its keys are "instruction", "Response"',
      'Did you mean "Response"?',
    ],
    [
      '[{"Instruction":"a","output":"b"}]',
      'd.json:1: the row has no "instruction"; its keys are "Instruction", "output"',
      'Did you mean "Instruction"?',
    ],
    ['{"messages":[]}', 'd.json:1: the row has no "instruction"; its keys are "messages"', 'Chat rows'],
    [
      '{"instruction":"a","output":null}',
      'd.json:1: "output" must be a string, but it is null; the keys of the row are "instruction", "output"',
      '',
    ],
    [
      '{"instruction":"a","input":5,"output":"b"}',
      'd.json:1: "input" must be a string, but it is a number; the keys of the row are "instruction", "input", "output"',
      '',
    ],
    [
      '{"instruction":["a"],"output":"b"}',
      'd.json:1: "instruction" must be a string, but it is a list; the keys of the row are "instruction", "output"',
      '',
    ],
    [
      '{"__proto__":{"instruction":"a"},"output":"b"}',
      'd.json:1: the row has no "instruction"; its keys are "__proto__", "output"',
      '',
    ],
  ])('%j', (text, message, hint) => {
    const error = parseFailure(text);
    expect(error.code).toBe('DATA_ROW');
    expect(error.message).toBe(message);
    expect(error.hint).toContain(hint);
  });

  it.each(['', ' \n', '\ufeff', '[]', '[ \n ]'])('%j holds no rows', (text) => {
    expect(parseFailure(text)).toMatchObject({ code: 'DATA_EMPTY', message: 'd.json: holds no rows' });
  });
});

describe('readRecords', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'huacaya-data-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('reads UTF-8 with a byte order mark', async () => {
    const path = join(folder, 'a.json');
    await writeFile(path, '\ufeff[{"instruction":"é","output":"🦙"}]');
    expect((await readRecords(path)).records).toEqual([{ instruction: 'é', input: '', output: '🦙', line: 1 }]);
  });

  it('refuses other encodings, and names missing files and folders', async () => {
    const path = join(folder, 'b.json');
    await writeFile(path, Buffer.from('[{"instruction":"\u00e9"}]', 'latin1'));
    await expect(readRecords(path)).rejects.toMatchObject({
      code: 'DATA_ENCODING',
      message: `${path}: is not UTF-8 text`,
    });
    await expect(readRecords(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(readRecords(folder)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});
