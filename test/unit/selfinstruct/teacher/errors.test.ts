// Every way in which an endpoint is wrong: one clear line, a code, something to do, and no key in it.
import { describe, expect, it } from 'vitest';
import type { HuacayaError } from '../../../../src/base/index.ts';
import { createTeacher } from '../../../../src/selfinstruct/teacher/createTeacher.ts';
import type { TeacherEndpoint } from '../../../../src/selfinstruct/teacher/options.ts';
import { startTeacherServer, type TeacherServerOptions } from '../../../helpers/teacherServer/index.ts';
import { ask, freshFolder, server, setUp } from './helpers.ts';

async function failure(
  behaviour: TeacherServerOptions,
  endpoint: (url: string) => Partial<TeacherEndpoint> & { url: string } = (url) => ({ url }),
): Promise<HuacayaError & { asked: number }> {
  const { url, asked } = await server(behaviour);
  const { teacher, folder } = await setUp([{ name: 'here', ...endpoint(url) }], { patience: { tries: 3 } });
  const error = await teacher.ask(ask('a')).catch((e) => e);
  expect(error.message).not.toMatch(/\n|secret/);
  expect(`${error.hint}`).not.toMatch(/\n|secret/);
  // Nothing is lost and nothing stays set aside: the run can go on.
  await teacher.close();
  expect((await setUp([{ url }], { folder })).teacher.spent().requests).toBe(0);
  return Object.assign(error, { asked: asked.length });
}

const line = ({ code, message, hint }: HuacayaError) => [code, message, hint];

describe('errors of an endpoint', () => {
  it('wrong key, no key', async () => {
    const wrong = await failure({ key: 'k' }, (url) => ({ url, apiKey: 'secret' }));
    expect(line(wrong)).toEqual([
      'TEACHER_KEY',
      'here: the API key was refused (401: Incorrect API key provided.)',
      'Set OPENAI_API_KEY, or the variable that the recipe names, to a valid key of this service.',
    ]);
    expect((await failure({ key: 'k' })).message).toMatch(/^here: asks for an API key \(401/);
  });

  it('a message that repeats the key is cleaned', async () => {
    const body = { error: { message: 'Incorrect API key:\n secret', code: 'invalid_api_key' } };
    const error = await failure({ fault: () => ({ status: 401, body }) }, (url) => ({ url, apiKey: 'secret' }));
    expect(error.message).toBe('here: the API key was refused (401: Incorrect API key: ***)');
  });

  it('no permission', async () => {
    const error = await failure({ fault: () => 'forbidden' });
    expect(line(error).slice(0, 2)).toEqual([
      'TEACHER_FORBIDDEN',
      'here: this account may not do that (403: You have insufficient permissions for this operation.)',
    ]);
  });

  it('no such model, with those that there are', async () => {
    const models = ['small-teacher', 'large-teacher', 'other'];
    const near = await failure({ models }, (url) => ({ url, model: 'smal-teacher' }));
    expect(line(near)).toEqual([
      'TEACHER_MODEL_NOT_FOUND',
      'here: has no model smal-teacher',
      'Did you mean small-teacher?',
    ]);
    const far = await failure({ models }, (url) => ({ url, model: 'quite-another-one' }));
    expect(far.hint).toBe('It has: small-teacher, large-teacher, other.');
  });

  it('no service at this address, with the one that there is', async () => {
    const error = await failure({}, (url) => ({ url: url.replace('/v1', '/') }));
    expect(error.code).toBe('TEACHER_WRONG_URL');
    expect(error.message).toMatch(/^here: there is no chat\/completions at http:\/\/127\.0\.0\.1:\d+ \(404\)$/);
    expect(error.hint).toMatch(/^Did you mean http:\/\/127\.0\.0\.1:\d+\/v1\?$/);
    const elsewhere = await failure({}, (url) => ({ url: `${url}/v1` }));
    expect(elsewhere.hint).toMatch(/^Check the address, and whether the server offers this service/);
  });

  it('nobody listening, no such host', async () => {
    const gone = await startTeacherServer();
    await gone.close();
    const refused = await failure({}, () => ({ url: gone.url }));
    expect(line(refused)).toEqual([
      'TEACHER_UNREACHABLE',
      `here: nothing is listening at ${new URL(gone.url).host} (ECONNREFUSED)`,
      'Start the server (e.g. huacaya serve, ollama serve), or check its port in the address.',
    ]);
    const noHost = Object.assign(new TypeError('fetch failed'), {
      cause: Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }),
    });
    const { teacher } = await setUp([{ url: 'http://nowhere.invalid/v1', name: 'here' }], {
      fetch: () => Promise.reject(noHost),
    });
    await expect(teacher.ask(ask('a'))).rejects.toMatchObject({
      code: 'TEACHER_UNREACHABLE',
      message: 'here: there is no host nowhere.invalid (ENOTFOUND)',
    });
  });

  it('no quota: never tried again', async () => {
    const error = await failure({ quota: 0 });
    expect(error.code).toBe('TEACHER_NO_QUOTA');
    expect(error.message).toMatch(/^here: the account has no quota left \(429: You exceeded your current quota/);
    expect(error.asked).toBe(1);
  });

  it('too many requests for ever', async () => {
    const { url, asked } = await server({ fault: () => 'too-many' });
    const { teacher } = await setUp([{ url, name: 'here' }], { patience: { tries: 1, firstWaitMs: 0 } });
    await expect(teacher.ask(ask('a'))).rejects.toMatchObject({
      code: 'TEACHER_BUSY',
      message: 'here: too many requests, again and again (429: Rate limit reached for requests per min.)',
    });
    expect(asked).toHaveLength(10);
  });

  it('connections that are lost again and again', async () => {
    const cut = await failure({ fault: () => 'cut' });
    expect(line(cut)).toEqual([
      'TEACHER_LOST',
      'here: the connection was lost (the connection ended)',
      'Nothing is lost: run the same command again, it goes on where it stopped.',
    ]);
    const hang = await failure({ fault: () => 'hang' }, (url) => ({ url, timeoutMs: 20 }));
    expect(hang.message).toBe('here: the connection was lost (no answer in 0.02 s)');
    expect(hang.hint).toMatch(/^Raise the endpoint's timeout/);
  });

  it('a login page, a redirect, a request that is refused', async () => {
    expect(line(await failure({ fault: () => 'garbage' })).slice(0, 2)).toEqual([
      'TEACHER_BAD_ANSWER',
      'here: the answer is not that of a chat or completions service',
    ]);
    const redirect = await failure({ fault: () => 'redirect' }, (url) => ({ url, apiKey: 'secret' }));
    expect(line(redirect)).toEqual([
      'TEACHER_WRONG_URL',
      'here: redirects to http://127.0.0.1:9/v1',
      'If you trust it, write http://127.0.0.1:9/v1 as the address: keys are never taken to another one.',
    ]);
    const body = { error: { message: "Invalid 'temperature': must be at most 2.", param: 'temperature' } };
    const refused = await failure({ fault: () => ({ status: 400, body }) });
    expect(line(refused).slice(0, 2)).toEqual([
      'TEACHER_REFUSED',
      "here: refuses request a (400: Invalid 'temperature': must be at most 2.)",
    ]);
  });
});

describe('wrong calls', () => {
  const call = async (endpoint: Partial<TeacherEndpoint>, budget = {}) => {
    const folder = await freshFolder();
    return () =>
      createTeacher({ endpoints: [{ url: 'http://127.0.0.1:9/v1', model: 'm', ...endpoint }], folder, budget });
  };

  it('are told before anything is sent', async () => {
    expect(await call({ url: 'api.openai.com/v1' })).toThrow(/is not the address of a teacher/);
    expect(await call({ url: 'http://x/v1/chat/completions' })).toThrow(/is one service of a teacher/);
    expect(await call({ model: '' })).toThrow(/no model is given/);
    expect(await call({ weight: 0 })).toThrow(/weight/);
    expect(await call({ concurrency: 1.5 })).toThrow(/concurrency/);
    expect(await call({}, { cost: 5 })).toThrow(/has no prices/);
    const withKey = await call({ apiKey: 'sec ret\n' });
    expect(withKey).toThrow(/characters that no key has/);
    expect(withKey).not.toThrow(/sec ret/);
  });
});
