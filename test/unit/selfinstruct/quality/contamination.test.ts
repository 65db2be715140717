import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findContamination } from '../../../../src/selfinstruct/quality/contamination.ts';
import { readEvaluationSet } from '../../../../src/selfinstruct/quality/evaluationFiles.ts';
import { parseEvaluationSet } from '../../../../src/selfinstruct/quality/evaluationSet.ts';

const story =
  'The ferry leaves the old harbour at nine every morning and it comes back shortly before the lamps are lit in the evening';
const sets = [
  parseEvaluationSet(
    'quiz.jsonl',
    [
      { question: 'Which planet has the shortest day of all eight?', choices: ['Mars', 'Jupiter'], answer: 'Jupiter' },
      { question: 'When does the ferry leave?', context: story },
      { question: 'q', note: 'seven small words are not quite enough' },
      { question: 'q', note: 'but eight of them are looked for whole' },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n'),
  ),
  parseEvaluationSet('zh.json', JSON.stringify([{ instruction: '请把下面的句子翻译成英文', input: '今天天气很好' }])),
];

describe('contamination', () => {
  it('finds an instruction that is nearly a question', () => {
    const rows = [
      { instruction: 'Which planet has the longest day of all eight?', output: 'Venus' },
      { instruction: 'Name a planet.', output: 'Mars' },
      { instruction: '请把下面的句子翻译成英文。', input: '今天天气很好。', output: 'x' },
      { instruction: '请把下面的句子翻译成英文。', input: '我昨天在学校门口遇到了一位多年不见的老朋友。', output: 'x' },
    ];
    expect(findContamination(rows, sets)).toEqual([
      {
        index: 0,
        why: 'similar',
        set: 'quiz.jsonl',
        row: 1,
        text: 'Which planet has the shortest day of all eight?',
        score: 8 / 9,
      },
      { index: 2, why: 'similar', set: 'zh.json', row: 1, text: '请把下面的句子翻译成英文\n今天天气很好', score: 1 },
      { index: 2, why: 'ngram', set: 'zh.json', row: 1, text: '请 把 下 面 的 句 子 翻 译 成 英 文' },
      expect.objectContaining({ index: 3, why: 'similar', score: expect.closeTo(0.8, 12) }),
      expect.objectContaining({ index: 3, why: 'ngram' }),
    ]);
  });

  it('counts an instruction that is exactly at the threshold', () => {
    const set = parseEvaluationSet('s', JSON.stringify([{ question: 'a b c d e f g h i j' }]));
    expect(findContamination([{ instruction: 'a b c d e f g x y z' }], [set])).toMatchObject([{ score: 0.7 }]);
    expect(findContamination([{ instruction: 'a b c d e f w x y z' }], [set])).toEqual([]);
  });

  it('finds runs of 13 tokens in any field, as long as they go on, and not shorter ones', () => {
    const words = story.split(' ');
    const part = (from: number, count: number) => words.slice(from, from + count).join(' ');
    const rows = [
      { instruction: 'Shorten it.', input: `Once upon a time: ${part(3, 15)}, they said.`, output: 'x' },
      { instruction: 'Shorten it.', input: `Once: ${part(3, 12)}, they said.`, output: 'x' },
      { instruction: 'Tell me.', output: part(0, 13).toUpperCase() },
    ];
    expect(findContamination(rows, sets)).toEqual([
      { index: 0, why: 'ngram', set: 'quiz.jsonl', row: 2, text: part(3, 15).toLowerCase() },
      { index: 2, why: 'ngram', set: 'quiz.jsonl', row: 2, text: part(0, 13).toLowerCase() },
    ]);
    expect(findContamination(rows, sets, { ngram: 12, threshold: 1 }).map((f) => f.index)).toEqual([0, 1, 2]);
  });

  it('looks for short texts whole, from eight tokens on', () => {
    const rows = [
      { instruction: 'x', output: 'Seven small words are not quite enough' },
      { instruction: 'x', output: 'Yes, but eight of them are looked for whole here.' },
    ];
    expect(findContamination(rows, sets)).toEqual([
      { index: 1, why: 'ngram', set: 'quiz.jsonl', row: 4, text: 'but eight of them are looked for whole' },
    ]);
  });

  it('agrees with a search through joined text', () => {
    const words = (least: number) => fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: least, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(words(4), { minLength: 1, maxLength: 4 }), words(1), (texts, own) => {
        const set = parseEvaluationSet('s', JSON.stringify(texts.map((t) => ({ other: t.join(' ') }))));
        const grams = texts.flatMap((t) => t.map((_, i) => t.slice(i, i + 4)).filter((g) => g.length === 4));
        const wanted = grams.some((g) => ` ${own.join(' ')} `.includes(` ${g.join(' ')} `));
        const found = findContamination([{ instruction: '', output: own.join(' ') }], [set], { ngram: 4 });
        expect(found.length > 0).toBe(wanted);
        for (const { text, row } of found) {
          expect(` ${own.join(' ')} `).toContain(` ${text} `);
          expect(` ${texts[row - 1]!.join(' ')} `).toContain(` ${text} `);
        }
      }),
    );
  });

  it('refuses a run of no tokens', () => {
    expect(() => findContamination([], sets, { ngram: 0 })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('evaluation sets', () => {
  it('finds the question and every string', () => {
    const rows = [
      { instruction: 'Translate.', input: 'Hund', instances: [{ output: 'dog' }] },
      { id: 7, prompt: 'Say hi', options: { a: 'hi', b: ['ho'] } },
      {
        messages: [
          { role: 'system', content: 's' },
          { role: 'user', content: 'Why?' },
        ],
      },
      { label: 'x' },
    ];
    expect(parseEvaluationSet('e', JSON.stringify(rows)).rows).toEqual([
      { row: 1, question: 'Translate.\nHund', texts: ['Translate.', 'Hund', 'dog'] },
      { row: 2, question: 'Say hi', texts: ['Say hi', 'hi', 'ho'] },
      { row: 3, question: 'Why?', texts: ['system', 's', 'user', 'Why?'] },
      { row: 4, question: '', texts: ['x'] },
    ]);
  });

  it.each([
    ['{"a": 1}\n{"a"', 'DATA_SYNTAX', 'f:2: is not JSON'],
    ['[1]', 'DATA_ROW', 'f: row 1 must be an object'],
    [' \n', 'DATA_EMPTY', 'f: holds no rows'],
  ])('refuses %j', (text, code, message) => {
    expect(() => parseEvaluationSet('f', text)).toThrow(expect.objectContaining({ code, message }));
  });

  it('reads files, and says what is wrong with them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'huacaya-test-'));
    try {
      const path = join(folder, 'set.jsonl');
      await writeFile(path, '{"question":"why"}\n');
      expect((await readEvaluationSet(path)).rows).toEqual([{ row: 1, question: 'why', texts: ['why'] }]);
      await writeFile(path, Uint8Array.of(0xff, 0xfe, 0x7b));
      await expect(readEvaluationSet(path)).rejects.toMatchObject({ code: 'DATA_ENCODING' });
      await expect(readEvaluationSet(`${path}.no`)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
