// Batches from requests to the journal, with partial failures, and nothing submitted twice whatever happens in between.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { batchCollect, batchPrepare, batchSubmit } from '../../../../src/selfinstruct/batch/index.ts';
import type { TeacherRequest } from '../../../../src/selfinstruct/teacher/types.ts';
import type { TeacherServer } from '../../../helpers/teacherServer/index.ts';
import { ask, freshFolder, impatient, readLines, server, setUp } from '../teacher/helpers.ts';

const requests = (n: number): TeacherRequest[] => Array.from({ length: n }, (_, i) => ask(`r/${i}`));
const endpointOf = ({ url }: TeacherServer) => ({ url, model: 'teacher', price: { input: 10, output: 20 } });
const options = { patience: impatient };
const made = ({ paths }: TeacherServer) => paths.filter((path) => path === 'POST /v1/batches').length;

describe('batches', () => {
  it('answer everything at half price, as the teacher would have', async () => {
    const one = await server();
    const endpoint = endpointOf(one);
    const folder = await freshFolder();
    const prepared = await batchPrepare(requests(12), folder, { endpoint, maxRequests: 5 });
    expect(prepared).toMatchObject({ requests: 12, answered: 0, waiting: 0 });
    expect(prepared.files).toEqual(['requests-0001.jsonl', 'requests-0002.jsonl', 'requests-0003.jsonl']);
    expect((await readLines(join(folder, 'batch', 'requests-0003.jsonl')))[0]).toEqual({
      custom_id: 'r/10',
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        model: 'teacher',
        messages: [{ role: 'user', content: 'Tell me something about r/10.' }],
        max_tokens: 200,
        temperature: 1,
      },
    });
    // More requests join; those that are there are not written again.
    expect(await batchPrepare(requests(14), folder, { endpoint })).toMatchObject({ requests: 2, waiting: 12 });
    expect((await batchSubmit(folder, endpoint, options)).submitted).toHaveLength(4);
    expect(await batchSubmit(folder, endpoint, options)).toEqual({ submitted: [], waiting: 4 });
    expect(made(one)).toBe(4);

    const { teacher } = await setUp([endpoint], { folder });
    await expect(teacher.ask(ask('r/3'))).rejects.toMatchObject({ code: 'TEACHER_IN_BATCH' });
    await expect(batchCollect(folder, endpoint)).rejects.toMatchObject({ code: 'TEACHER_RUN_IN_USE' });
    await teacher.close();

    const collected = await batchCollect(folder, endpoint, options);
    expect(collected).toMatchObject({ answered: 14, waiting: 0, again: 0, refused: [] });
    expect(await batchCollect(folder, endpoint, options)).toMatchObject({ batches: [], answered: 0 });
    expect((await readdir(join(folder, 'batch'))).filter((name) => /output|error/.test(name))).toEqual([]);

    const [fromBatch, online] = [await setUp([endpoint], { folder }), await setUp([endpoint])];
    for (const request of requests(14)) {
      const [a, b] = [await fromBatch.teacher.ask(request), await online.teacher.ask(request)];
      expect(a).toMatchObject({ text: b.text, promptTokens: b.promptTokens, cost: b.cost / 2 });
    }
    expect(fromBatch.teacher.spent().cost).toBeCloseTo(online.teacher.spent().cost / 2, 12);
  });

  it('that are not done are waited for', async () => {
    const one = await server({ batchPolls: 3 });
    const folder = await freshFolder();
    await batchPrepare(requests(3), folder, { endpoint: endpointOf(one) });
    await batchSubmit(folder, endpointOf(one), options);
    const looks = [];
    for (let i = 0; i < 3; i++) looks.push(await batchCollect(folder, endpointOf(one), options));
    expect(looks.map(({ waiting, answered }) => [waiting, answered])).toEqual([
      [1, 0],
      [1, 0],
      [0, 3],
    ]);
    expect(looks[0]!.batches[0]).toMatchObject({ file: 'requests-0001.jsonl', status: 'in_progress', done: false });
  });

  it('partial failures are prepared again; refusals are told; nothing is paid twice', async () => {
    const held = { status: 400, body: { error: { message: 'held back', code: 'content_filter' } } };
    const one = await server({
      batchFault: (id, batch) =>
        id === 'r/9'
          ? 'error'
          : batch === 1
            ? ({ 'r/1': 'expire', 'r/2': 'error', 'r/3': 'lost' } as const)[id]
            : undefined,
      batchRow: (id) =>
        id === 'r/5' ? held : id === 'r/6' ? { status: 400, body: { error: { message: 'no' } } } : undefined,
    });
    const endpoint = endpointOf(one);
    const folder = await freshFolder();
    await batchPrepare(requests(10), folder, { endpoint });
    const reasons: unknown[] = [];
    const rounds: number[][] = [];
    for (let round = 0; round < 5; round++) {
      await batchSubmit(folder, endpoint, options);
      const { answered, again, refused } = await batchCollect(folder, endpoint, options);
      rounds.push([answered, again]);
      reasons.push(...refused);
    }
    expect(rounds).toEqual([
      [5, 4],
      [3, 1],
      [0, 1],
      [0, 0],
      [0, 0],
    ]);
    expect(reasons).toEqual([
      { id: 'r/6', reason: '400: no' },
      { id: 'r/9', reason: 'failed in 4 batches' },
    ]);
    expect([...one.paid().values()].every((times) => times === 1)).toBe(true);
    expect(made(one)).toBe(4);
    const { teacher } = await setUp([endpoint], { folder, budget: { tokens: 100_000 } });
    expect((await teacher.ask(ask('r/5'))).finishReason).toBe('content_filter');
    expect(await teacher.ask(ask('r/6'))).toMatchObject({ finishReason: 'content_filter', text: '' });
    expect(teacher.spent().requests).toBe(9);
    // What failed in batches can be asked for one by one.
    expect((await teacher.ask(ask('r/9'))).text).not.toBe('');
  });

  it('a batch that fails as a whole loses its requests no try', async () => {
    const one = await server({ batchFails: (batch) => batch < 6 });
    const endpoint = endpointOf(one);
    const folder = await freshFolder();
    await batchPrepare(requests(2), folder, { endpoint });
    for (let round = 1; round <= 6; round++) {
      await batchSubmit(folder, endpoint, options);
      const { batches, again, answered } = await batchCollect(folder, endpoint, options);
      expect([again, answered]).toEqual(round < 6 ? [2, 0] : [0, 2]);
      if (round === 1)
        expect(batches[0]).toMatchObject({ status: 'failed', reason: expect.stringMatching(/parseable/) });
    }
  });

  it('leave out what was answered one by one in the meantime', async () => {
    const one = await server();
    const endpoint = endpointOf(one);
    const folder = await freshFolder();
    await batchPrepare(requests(5), folder, { endpoint, maxRequests: 3 });
    const { teacher } = await setUp([endpoint], { folder });
    for (const i of [1, 3, 4]) await teacher.ask(ask(`r/${i}`));
    await teacher.close();
    expect((await batchSubmit(folder, endpoint, options)).submitted).toMatchObject([
      { file: 'requests-0001.jsonl', requests: 2 },
    ]);
    expect(await batchCollect(folder, endpoint, options)).toMatchObject({ answered: 2, again: 0 });
    expect(one.paid().size).toBe(5);
  });

  it('keep to the budget', async () => {
    const one = await server();
    const folder = await freshFolder();
    const { tokens } = await batchPrepare(requests(4), folder, { endpoint: endpointOf(one) });
    await expect(
      batchSubmit(folder, endpointOf(one), { ...options, budget: { tokens: tokens - 1 } }),
    ).rejects.toMatchObject({ code: 'BUDGET_SPENT', message: expect.stringMatching(/this batch could take \d+$/) });
    expect(one.paths).toEqual([]);
    await batchSubmit(folder, endpointOf(one), { ...options, budget: { tokens } });
    const { teacher } = await setUp([endpointOf(one)], { folder, budget: { tokens } });
    await expect(teacher.ask(ask('other'))).rejects.toMatchObject({ code: 'BUDGET_SPENT' });
  });
});

describe('a connection that is lost, a process that is killed', () => {
  it.each(['cut', 'error', 'reset', 'too-many'] as const)('%s in every call: one batch, all answers', async (kind) => {
    const one = await server({ fault: ({ attempt }) => (attempt === 1 ? kind : undefined) });
    const folder = await freshFolder();
    await batchPrepare(requests(3), folder, { endpoint: endpointOf(one) });
    await batchSubmit(folder, endpointOf(one), options);
    expect(await batchCollect(folder, endpointOf(one), options)).toMatchObject({ answered: 3 });
    const total = made(one);
    // A cut answer hides a batch that was made: it is found, not made again.
    expect(total).toBe(kind === 'cut' ? 1 : 2);
    expect([...one.paid().values()]).toEqual([1, 1, 1]);
  });

  it.each(['POST /v1/files', 'POST /v1/batches'])('after %s was done: it is found and not done again', async (call) => {
    const hidden = await server({
      fault: ({ path, headers }) => (call.endsWith(path) && headers['content-type'] ? 'cut' : undefined),
    });
    const folder = await freshFolder();
    const endpoint = endpointOf(hidden);
    await batchPrepare(requests(3), folder, { endpoint });
    // The answer never arrives, and the process gives up before it can look: as if killed there.
    const impatientOnce = { patience: { ...impatient, tries: 1 } };
    await expect(batchSubmit(folder, endpoint, impatientOnce)).rejects.toMatchObject({ code: 'TEACHER_LOST' });
    expect((await batchSubmit(folder, endpoint, impatientOnce)).submitted).toMatchObject([{ batchId: 'batch_1' }]);
    expect(hidden.paths.filter((path) => path === call)).toHaveLength(1);
    expect(await batchCollect(folder, endpoint, options)).toMatchObject({ answered: 3 });
  });

  it('in the middle of collecting: the rest is taken the next time, once', async () => {
    const one = await server();
    const endpoint = endpointOf(one);
    const folder = await freshFolder();
    await batchPrepare(requests(6), folder, { endpoint });
    await batchSubmit(folder, endpoint, options);
    const path = join(folder, 'batch', 'state.json');
    const before = await readFile(path, 'utf8');
    await batchCollect(folder, endpoint, options);
    // Killed before the state was written, with the last of the answers half written.
    await writeFile(path, before);
    const journal = join(folder, 'journal.jsonl');
    await writeFile(journal, (await readFile(journal)).subarray(0, -100));
    expect(await batchCollect(folder, endpoint, options)).toMatchObject({ answered: 1, again: 0 });
    const { teacher } = await setUp([endpoint], { folder });
    expect(teacher.spent().requests).toBe(6);
  });
});

describe('errors', () => {
  it('say what is wrong and leave everything as it was', async () => {
    const one = await server({ key: 'k', models: ['teacher'] });
    const endpoint = endpointOf(one);
    const folder = await freshFolder();
    await batchPrepare(requests(2), folder, { endpoint });
    await expect(batchSubmit(folder, endpoint, options)).rejects.toMatchObject({ code: 'TEACHER_KEY' });
    await expect(batchSubmit(folder, { ...endpoint, url: one.url.replace('/v1', '') }, options)).rejects.toMatchObject({
      code: 'TEACHER_NO_BATCH',
    });
    await expect(batchSubmit(folder, { ...endpoint, model: 'x' }, options)).rejects.toThrow(/was prepared for teacher/);
    await expect(batchPrepare([ask('r/0', { prompt: 'other' })], folder, { endpoint })).rejects.toMatchObject({
      code: 'TEACHER_CHANGED',
    });
    await expect(batchPrepare(requests(1), await freshFolder(), { endpoint, maxBytes: 50 })).rejects.toThrow(
      /is larger than a batch may be/,
    );
    expect(await batchSubmit(folder, { ...endpoint, apiKey: 'k' }, options)).toMatchObject({
      submitted: [{ requests: 2 }],
    });
    await writeFile(join(folder, 'batch', 'state.json'), '{');
    await expect(batchCollect(folder, endpoint, options)).rejects.toMatchObject({ code: 'BATCH_STATE' });
  });
});
