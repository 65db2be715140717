// Answers, marks, choices and new tasks, with a teacher whose answers are given.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Dedupe } from '../../../../src/selfinstruct/dedupe/types.ts';
import {
  answerTasks,
  bestAnswer,
  evolveTasks,
  judgeTasks,
  parseMark,
  parseRefinePrompts,
  preferencePair,
  refineFiles,
} from '../../../../src/selfinstruct/refine/index.ts';
import type { Teacher, TeacherMessage, TeacherRequest } from '../../../../src/selfinstruct/teacher/types.ts';

const folder = (language: string) => join(import.meta.dirname, '../../../../templates/refine', language);
const load = (language: string) => {
  const files = refineFiles.map((name) => [name, readFileSync(join(folder(language), name), 'utf8')]);
  return parseRefinePrompts(language, Object.fromEntries(files));
};
const prompts = load('en');

function teacher(answer: (request: TeacherRequest, text: string) => string) {
  const asked: TeacherRequest[] = [];
  const made: Teacher = {
    async ask(request) {
      asked.push(request);
      const said = request.prompt as readonly TeacherMessage[];
      const text = answer(request, said.at(-1)!.content);
      const finishReason = text.endsWith('…') ? 'length' : text.endsWith('■') ? 'content_filter' : 'stop';
      // Later requests are quicker: the order must come from somewhere else.
      await new Promise((done) => setTimeout(done, Math.max(0, 8 - asked.length)));
      return {
        id: request.id,
        text,
        finishReason,
        promptTokens: 1,
        completionTokens: 1,
        cost: 0,
        model: 'm',
        createdAt: 0,
      };
    },
    spent: () => ({ requests: asked.length, promptTokens: 0, completionTokens: 0, cost: 0 }),
    close: async () => {},
  };
  return { teacher: made, asked };
}

const tasks = [
  { instruction: 'Add the numbers.', input: '2, 3' },
  { instruction: 'Name a colour.', input: '' },
];

describe('answers', () => {
  it('come in the order of the tasks, with the input behind the instruction', async () => {
    const { teacher: t, asked } = teacher(({ id }, text) => ` ${id}: ${text} `);
    const answered = await answerTasks(t, tasks, { n: 2, system: 'Be brief.' });
    expect(answered[0]!.answers.map((a) => a.text)).toEqual([
      'answer/0/0: Add the numbers.\n\n2, 3',
      'answer/0/1: Add the numbers.\n\n2, 3',
    ]);
    expect(answered[1]!.answers[1]!.text).toBe('answer/1/1: Name a colour.');
    expect(asked[0]).toMatchObject({ sampling: { temperature: 0.7 }, prompt: [{ role: 'system' }, { role: 'user' }] });
  });

  it.each(['Half a…', 'Held back ■'])('that were ended by force are not whole: %s', async (said) => {
    const { teacher: t } = teacher(() => said);
    expect((await answerTasks(t, tasks))[0]!.answers).toEqual([{ text: said, cut: true }]);
  });

  it('stop at the signal with whole tasks only', async () => {
    const stop = new AbortController();
    const { teacher: t } = teacher(() => 'x');
    const onAnswer = (done: number) => done === 3 && stop.abort();
    const answered = await answerTasks(t, tasks, { n: 2, lookahead: 1, signal: stop.signal, onAnswer });
    expect(answered).toHaveLength(1);
  });
});

describe('marks', () => {
  it.each([
    ['It is right.\nScore: 5', 5],
    ['Score: 2 at first, but then\n**Score:** 4', 4],
    ['说明清楚。\n评分：3', 3],
    ['good\n4/5', 4],
    ['**3**', 3],
    ['Score: 10', undefined],
    ['There were 5 mistakes and nobody counted.', undefined],
    ['', undefined],
  ])('%j', (text, score) => {
    expect(parseMark(text).score).toBe(score);
  });

  it('are asked with the whole task and at temperature 0', async () => {
    const { teacher: t, asked } = teacher(() => 'Fine.\nScore: 4');
    const [mark] = await judgeTasks(t, [{ ...tasks[0]!, output: 'five {{input}}' }], prompts);
    expect(mark!.score).toBe(4);
    const text = JSON.stringify(asked[0]!.prompt);
    expect(text).toContain('Add the numbers.');
    expect(text).toContain('five {{input}}');
    expect(asked[0]!.sampling.temperature).toBe(0);
  });
});

describe('choices', () => {
  const answers = ['five', '5', '6', 'and then…'].map((text, i) => ({ text, cut: i === 3 }));
  const task = { ...tasks[0]!, answers };
  const marks = [3, 5, 1, 5].map((score) => ({ score, text: '' }));

  it('take the best whole answer', () => {
    expect(bestAnswer(task, marks, 4)).toEqual({ ...tasks[0], output: '5', score: 5 });
    expect(bestAnswer({ ...task, answers: answers.slice(2) }, marks.slice(2), 4)).toBeUndefined();
    expect(bestAnswer(task, [], 1)).toBeUndefined();
  });

  it('pair the best with the worst, when they are far enough apart', () => {
    expect(preferencePair({ ...task, answers: answers.slice(0, 3) }, marks, 2)).toEqual({
      prompt: 'Add the numbers.\n\n2, 3',
      ...tasks[0],
      chosen: '5',
      rejected: '6',
      chosen_score: 5,
      rejected_score: 1,
    });
    expect(preferencePair({ ...task, answers: answers.slice(0, 2) }, marks, 3)).toBeUndefined();
    const equal = ['5', '5'].map((text) => ({ text, cut: false }));
    expect(preferencePair({ ...task, answers: equal }, marks, 0)).toBeUndefined();
  });
});

describe('new tasks', () => {
  const known = new Set(['Old one.']);
  const dedupe: Dedupe = {
    get size() {
      return known.size;
    },
    check: async (text) => ({ duplicate: known.has(text), nearest: [] }),
    add: (text) => void known.add(text),
    close: async () => {},
  };

  it('are filtered, compared and counted', async () => {
    const said = [
      'New task: "Add three numbers."',
      'Old one.',
      "I'm sorry, but no.",
      'Add three numbers.',
      'Half a…',
      'Held back ■',
      'x',
      '"To be" and "not to be"',
    ];
    const { teacher: t } = teacher(({ id }) => said[Number(id.split('/')[1])]!);
    const filter = ({ instruction }: { instruction: string }) => (instruction.length < 3 ? 'too_short' : undefined);
    const many = said.map(() => tasks[0]!);
    const made = await evolveTasks(t, many, { direction: 'deeper', prompts, refusals: ["i'm sorry"], filter, dedupe });
    expect(made.tasks.map(({ instruction }) => instruction)).toEqual(['Add three numbers.', '"To be" and "not to be"']);
    expect(made.rejected).toEqual({ duplicate: 2, refusal: 1, truncated: 2, too_short: 1 });
  });

  it('may be near to the task that they were made from, but not the same', async () => {
    const said = ['Add the numbers and name the largest.', 'Name a colour.'];
    const { teacher: t } = teacher(({ id }) => said[Number(id.split('/')[1])]!);
    const none: Dedupe = { ...dedupe, size: 0, check: async () => ({ duplicate: false, nearest: [] }), add: () => {} };
    const settings = { direction: 'deeper', prompts, refusals: [], filter: () => undefined, dedupe: none } as const;
    const made = await evolveTasks(t, tasks, settings);
    expect(made).toEqual({ tasks: [{ instruction: said[0], input: '' }], rejected: { duplicate: 1 } });
  });
});

describe('prompts', () => {
  it.each(['en', 'zh'])('in %s are whole', (language) => {
    expect(load(language).judge).toContain('{{output}}');
  });

  it('say which file is wrong', () => {
    const files = Object.fromEntries(refineFiles.map((name) => [name, '{{instruction}} {{output}}']));
    expect(() => parseRefinePrompts('mine', { ...files, 'evolve-deeper.txt': 'x' })).toThrow(
      'mine/evolve-deeper.txt: {{instruction}} is missing',
    );
    expect(() => parseRefinePrompts('mine', {})).toThrow('mine/judge.txt: is missing');
  });
});
