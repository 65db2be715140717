// Our own server (huacaya serve) as the teacher: no key, no cost.
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeServer, fakeServer } from '../../../helpers/fakeServer.ts';
import { ask, setUp } from './helpers.ts';

let fake: FakeServer;
afterEach(() => fake.close());

describe('huacaya serve as a teacher', () => {
  it('answers chat and completions, with and without a schema', async () => {
    fake = await fakeServer({ script: () => 'five words are enough here' });
    const [model] = (await fake.client.models.list()).data;
    const url = `${fake.url}/v1`;
    const sampling = { maxTokens: 40, temperature: 0.7, topP: 0.9, stop: ['\nTask'], presencePenalty: 1 };
    const { teacher, events } = await setUp([{ url, model: model!.id }]);
    expect((await teacher.ask(ask('a', { sampling }))).text).toBe('five words are enough here');
    const schema = { name: 'answer', schema: { type: 'object', properties: { answer: { type: 'integer' } } } };
    await teacher.ask(ask('b', { sampling, schema }));
    const completions = await setUp([{ url, model: model!.id, api: 'completions' }]);
    expect((await completions.teacher.ask(ask('a', { sampling }))).completionTokens).toBeGreaterThan(0);
    expect(events.filter(({ type }) => type !== 'asked' && type !== 'answered')).toEqual([]);
    expect(fake.errors).toEqual([]);
  });

  it('shortens answers that the model has no room for', async () => {
    fake = await fakeServer({ positions: 100 });
    const [model] = (await fake.client.models.list()).data;
    const { teacher } = await setUp([{ url: `${fake.url}/v1`, model: model!.id }]);
    expect((await teacher.ask(ask('a'))).completionTokens).toBeLessThan(100);
  });

  it('says which models there are', async () => {
    fake = await fakeServer();
    const { teacher } = await setUp([{ url: `${fake.url}/v1`, model: 'another' }]);
    await expect(teacher.ask(ask('a'))).rejects.toMatchObject({
      code: 'TEACHER_MODEL_NOT_FOUND',
      hint: expect.stringMatching(/^It has: /),
    });
    const wrong = await setUp([{ url: fake.url, model: 'another' }]);
    await expect(wrong.teacher.ask(ask('a'))).rejects.toMatchObject({
      code: 'TEACHER_WRONG_URL',
      hint: `Did you mean ${fake.url}/v1?`,
    });
  });
});
