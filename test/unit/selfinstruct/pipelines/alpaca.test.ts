// The one-stage pipeline: what is asked, what is taken, and that order and speed of answers change nothing.
import { describe, expect, it } from 'vitest';
import { HuacayaError } from '../../../../src/base/index.ts';
import { alpacaRequests, runAlpaca } from '../../../../src/selfinstruct/pipelines/alpaca.ts';
import { alpacaResults } from '../../../../src/selfinstruct/pipelines/results.ts';
import { createState } from '../../../../src/selfinstruct/pipelines/runState.ts';
import type { Recipe } from '../../../../src/selfinstruct/recipe/schema.ts';
import type { Teacher } from '../../../../src/selfinstruct/teacher/types.ts';
import { blocks, fakeTeacher, optionsOf, recipeOf, seeds } from './helpers.ts';

async function run(teacher: Teacher, recipe: Recipe, signal?: AbortSignal) {
  const options = await optionsOf(teacher, recipe, signal ? { signal } : {});
  const state = createState(options, true);
  const failure = await runAlpaca(options, state).then(
    () => undefined,
    (error: HuacayaError) => error,
  );
  return { state, failure, files: alpacaResults(options, state, !failure).files };
}

describe('alpaca', () => {
  it('asks as published in faithful style: three seeds, open head, sampling', async () => {
    const recipe = recipeOf({ style: 'faithful' });
    const options = await optionsOf(fakeTeacher(blocks), recipe);
    const { prompt, sampling, schema } = alpacaRequests(options, createState(options, true))(0);
    const text = String(prompt);
    const shown = [...text.matchAll(/^\d\. Instruction: (.*)$/gm)].map((m) => m[1]!);
    expect(shown).toHaveLength(3);
    for (const one of shown) expect(seeds.map((s) => s.instruction.replace(/:$/, ''))).toContain(one);
    expect(text).toMatch(/\n###\n4\. Instruction:$/);
    expect(text).not.toMatch(/\{\{|little yet/);
    expect(schema).toBeUndefined();
    // The banned id belongs to GPT-2's vocabulary: no chat model has it.
    expect(sampling).toEqual({ temperature: 1, topP: 1, maxTokens: 3072, stop: ['\n20', '20.'] });
    const completions = { base_url: 'http://h/v1', model: 'm', api: 'completions' };
    const other = await optionsOf(fakeTeacher(blocks), recipeOf({ style: 'faithful', endpoints: [completions] }));
    expect(alpacaRequests(other, createState(other, true))(0).sampling.logitBias).toEqual({ '50256': -100 });
  });

  it('asks for rare subjects, shows accepted tasks, and takes JSON where it is structured', async () => {
    const chat = { base_url: 'http://h/v1', model: 'm' };
    const recipe = recipeOf({ structured: 'auto', endpoints: [chat], sampling: { max_tokens: 77 } });
    const options = await optionsOf(fakeTeacher(blocks), recipe, {
      before: [
        { instruction: 'Cook a soup for the machine.', input: '', output: 'ok', request: -1, nearest: [], mean: 0 },
      ],
    });
    const { prompt, sampling, schema } = alpacaRequests(options, createState(options, true))(3);
    expect(prompt).toContain('Cook a soup for the machine.');
    expect(prompt).toMatch(/write 16 new tasks/);
    expect(prompt).toMatch(/has little yet about: .+, .+, .+, /);
    expect(sampling.maxTokens).toBe(77);
    expect(sampling.stop).toBeUndefined();
    expect(schema?.name).toBe('tasks');
    const json = (id: string) =>
      JSON.stringify({ tasks: [{ instruction: `Tell\nme of ${id} please`, input: 'N/A', output: ' x ' }] });
    const { state } = await run(
      fakeTeacher(({ id }) => json(id)),
      recipeOf({ num: 1 }),
    );
    expect(state.pool.accepted[0]).toMatchObject({ instruction: 'Tell me of tasks/0 please', input: '', output: 'x' });
  });

  it('gives the same files whatever the order of answers, and stops at the number', async () => {
    const recipe = recipeOf({ num: 60 });
    const all = await Promise.all([1, 2, 3].map((order) => run(fakeTeacher(blocks, order), recipe)));
    expect(all[0]!.state.pool.accepted).toHaveLength(60);
    for (const { files } of all.slice(1)) expect([...files]).toEqual([...all[0]!.files]);
    const [first, other] = [fakeTeacher(blocks), fakeTeacher(blocks)];
    await run(first, recipeOf());
    await run(other, recipeOf({ seed: 2 }));
    expect(other.asked[0]!.prompt).not.toBe(first.asked[0]!.prompt);
  });

  it('builds request i when answer i - lookahead is in, and sends no more than are needed', async () => {
    const teacher = fakeTeacher((request) => blocks(request, 16));
    await run(teacher, recipeOf({ num: 40, lookahead: 30 }));
    expect(teacher.asked.map(({ id }) => id)).toEqual(['tasks/0', 'tasks/1', 'tasks/2']);
    // Everything in the window is written before any answer: no accepted task is shown in it.
    const one = fakeTeacher(blocks);
    await run(one, recipeOf({ num: 60, lookahead: 2, machine_tasks: 4 }));
    const machine = one.asked.map(({ prompt }) => /Instruction: Describe (amber|\w+) /.test(String(prompt)));
    expect(machine.slice(0, 4)).toEqual([false, false, true, true]);
    expect(one.peak).toBeLessThanOrEqual(2);
  });

  it('counts why candidates are not taken', async () => {
    const text = [
      ' Draw a picture of a house.\n5. Output: x',
      '###\n6. Instruction: Say it.\n6. Output: x',
      '###\n7. Instruction: Explain why bread rises in the hot oven.\n7. Output: x',
      '###\n8. Instruction: Translate the word into French.\n8. Input: cat\n8. Output: cat',
      '###\n9. Instruction: Something without an answer at all',
      '###\n10. Instruction: Compare winter with summer, please.\n10. Output: x',
      '###\n11. Instruction: Cut in the middle of\n11. Output: th',
    ].join('\n');
    const { state, files } = await run(
      fakeTeacher(({ id }) => (id === 'tasks/0' ? { text, finishReason: 'length' } : 'nothing')),
      recipeOf({ num: 1 }),
    );
    expect(state.pool.counts).toEqual({
      keyword: 1,
      too_short: 1,
      duplicate: 1,
      output_is_input: 1,
      unreadable: 1,
      truncated: 1,
    });
    expect(JSON.parse(files.get('alpaca_data.json')!)).toEqual([
      { instruction: 'Compare winter with summer, please.', input: '', output: 'x' },
    ]);
    const [row] = JSON.parse(files.get('regen.json')!);
    expect(Object.values(row.most_similar_instructions)[0]).toBeGreaterThan(0);
    expect(row.avg_similarity_score).toBeGreaterThan(0);
    expect(files.get('regen.json')).toMatch(/^\[\n {4}\{\n {8}"instruction": "Compare/);
    expect(files.get('rejected.jsonl')).toContain(
      '{"request":0,"reason":"keyword","text":"Draw a picture of a house."}',
    );
  });

  it('gives up on a teacher that brings nothing, and keeps what came before a failure', async () => {
    const { failure, state } = await run(
      fakeTeacher(() => 'Sorry.'),
      recipeOf(),
    );
    expect(failure).toMatchObject({
      code: 'INSTRUCT_STALLED',
      message: expect.stringMatching(/unreadable 25.*"Sorry\."/),
    });
    expect(state.history).toHaveLength(25);

    const spent = new HuacayaError('BUDGET_SPENT', 'no money');
    const poor = await run(
      fakeTeacher((r) => (r.id === 'tasks/3' ? spent : blocks(r))),
      recipeOf({ num: 60 }),
    );
    expect(poor.failure).toBe(spent);
    expect(poor.state.history.map(({ id }) => id)).toEqual(['tasks/0', 'tasks/1', 'tasks/2']);
    expect(poor.state.pool.accepted.length).toBeGreaterThan(9);
  });

  it('passes over a prompt that the teacher refuses, but not over the first', async () => {
    const no = new HuacayaError('TEACHER_REFUSED', 'against the rules');
    const later = await run(
      fakeTeacher((r) => (r.id === 'tasks/1' ? no : blocks(r))),
      recipeOf(),
    );
    expect(later.failure).toBeUndefined();
    expect(later.state.pool.counts.refused).toBe(1);
    expect(
      (
        await run(
          fakeTeacher(() => no),
          recipeOf(),
        )
      ).failure,
    ).toBe(no);
  });

  it('asks no more after the signal, and takes what is under way', async () => {
    const stop = new AbortController();
    const teacher = fakeTeacher((request) => {
      if (request.id === 'tasks/1') stop.abort();
      return blocks(request);
    });
    const { state, failure } = await run(teacher, recipeOf({ num: 200 }), stop.signal);
    expect(failure).toBeUndefined();
    expect(state.history).toHaveLength(teacher.asked.length);
    expect(state.pool.accepted.length).toBeLessThan(200);
  });
});
