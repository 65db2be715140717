// Files that Python programs write and read.
import { describe, expect, it } from 'vitest';
import { parseJsonLines } from '../../../../src/selfinstruct/files/jsonLines.ts';
import { floatRepr, PyFloat, pythonJson } from '../../../../src/selfinstruct/files/pythonJson.ts';
import { formatSeedTasks, parseSeedTasks } from '../../../../src/selfinstruct/files/seedTasks.ts';

describe('json.dumps', () => {
  // Expected texts are CPython's.
  it.each([
    [0.1, '0.1'],
    [1, '1.0'],
    [-0, '-0.0'],
    [1 / 3, '0.3333333333333333'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e16, '1e+16'],
    [1e22, '1e+22'],
    [9007199254740992, '9007199254740992.0'],
    [5e-324, '5e-324'],
  ])('repr(%d) is %s', (value, text) => {
    expect(floatRepr(value)).toBe(text);
  });

  it('writes one line or an indented tree, in ASCII or not', () => {
    const value = { a: 'é\u007f\u2028😀"\\\n', b: [], c: {}, d: [1, new PyFloat(1), null, true], e: undefined };
    expect(pythonJson(value)).toBe(
      '{"a": "\\u00e9\\u007f\\u2028\\ud83d\\ude00\\"\\\\\\n", "b": [], "c": {}, "d": [1, 1.0, null, true]}',
    );
    expect(pythonJson({ a: ['é'] }, { indent: 4, ascii: false })).toBe('{\n    "a": [\n        "é"\n    ]\n}');
    expect(
      pythonJson(
        new Map([
          ['2', 1],
          ['1', 2],
        ]),
      ),
    ).toBe('{"2": 1, "1": 2}');
  });
});

describe('seed tasks', () => {
  const line =
    '{"id": "seed_task_0", "name": "n", "instruction": "Say \\u00e9", "instances": [{"input": "", "output": "x"}], "is_classification": true}\n';

  it('come back as they were', () => {
    const [seed] = parseSeedTasks('s.jsonl', line);
    expect(seed).toMatchObject({ id: 'seed_task_0', instruction: 'Say é', isClassification: true });
    expect(formatSeedTasks([seed!])).toBe(line);
  });

  it('may be rows of training data', () => {
    expect(parseSeedTasks('s.json', '[{"instruction": "a", "output": "b"}]')).toEqual([
      {
        id: 'seed_task_0',
        name: '',
        instruction: 'a',
        instances: [{ input: '', output: 'b' }],
        isClassification: false,
      },
    ]);
  });

  it.each([
    ['{"instruction": "a", "instances": []}', /s\.jsonl:2: "instances"/],
    ['{"instruction": " ", "instances": [{"output": "b"}]}', /s\.jsonl:2: "instruction"/],
    ['{"instruction": "a", "instances": [{"output": 1}]}', /s\.jsonl:2: "input" and "output"/],
    ['{"instances": oops}\n{}', /s\.jsonl:2: is not JSON/],
  ])('of the wrong shape are named with their line: %s', (bad, message) => {
    expect(() => parseSeedTasks('s.jsonl', line + bad)).toThrow(message);
  });
});

describe('JSON lines', () => {
  it('leaves out a last line that was torn, and only that', () => {
    expect(parseJsonLines('f', '{"a":1}\n\n{"b":2}\n{"c":').map(({ line, value }) => [line, value])).toEqual([
      [1, { a: 1 }],
      [3, { b: 2 }],
    ]);
    expect(() => parseJsonLines('f', '{"a":1}\n{"b":\n{"c":3}\n')).toThrow(/^f:2: is not JSON/);
    expect(() => parseJsonLines('f', '[1]')).toThrow(/f:1: a row must be an object/);
  });
});
