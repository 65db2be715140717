// Recipes out of flags and files, keys out of the environment, and what a run shows while it goes.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { Panel, panelLines } from '../../../src/cli/instruct/panel.ts';
import { type RecipeFlags, resolveRecipe } from '../../../src/cli/instruct/recipe.ts';
import { endpointsWithKeys } from '../../../src/cli/instruct/teacher.ts';
import { Output } from '../../../src/cli/output.ts';
import type { Progress } from '../../../src/selfinstruct/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'huacaya-recipe-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const run = () => join(folder, 'run');
const resolve = (flags: RecipeFlags = {}) => resolveRecipe(run(), flags);
const file = (text: string) => {
  writeFileSync(join(folder, 'r.yaml'), text);
  return { recipe: join(folder, 'r.yaml') };
};

describe('recipes', () => {
  it('takes flags over the file over the defaults', async () => {
    const recipe = await resolve({
      ...file('num: 7\nseed: 3\ndedupe: { threshold: 0.5 }\n'),
      num: '9',
      maxTokens: '50',
    });
    expect(recipe).toMatchObject({ num: 9, seed: 3, pipeline: 'alpaca', sampling: { max_tokens: 50 } });
    expect(recipe.dedupe).toEqual({ mode: 'rouge', threshold: 0.5, details: 'exact' });
    expect((await resolve({ model: 'm', prices: '0.4,1.6', concurrency: '3' })).endpoints).toMatchObject([
      { base_url: 'https://api.openai.com/v1', model: 'm', prices: { input: 0.4, output: 1.6 }, concurrency: 3 },
    ]);
  });

  it('settles what is automatic when the run starts', async () => {
    const endpoint = { base_url: 'http://h/v1', model: 'm' };
    const structured = async (over: object) =>
      (await resolve(file(stringify({ endpoints: [{ ...endpoint, ...over }] })))).structured;
    expect(await structured({})).toBe(true);
    expect(await structured({ api: 'completions' })).toBe(false);
    expect(await structured({ structured_output: false })).toBe(false);
  });

  it.each([
    [{ num: '0' }, /^num is "0"/],
    [{ pipeline: 'alpacca' }, /^pipeline is "alpacca"/],
    [{ prices: '5' }, /^--prices is "5"/],
    [{ model: 'm', baseUrl: 'example.com' }, /^endpoints\.0\.base_url is "example\.com": write a URL/],
    [{ recipe: '/nowhere.yaml' }, /no such recipe/],
  ])('says what is wrong with %o', async (flags, message) => {
    await expect(resolve(flags)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) });
  });

  it('does not take a key in a file for the name of a variable', async () => {
    const endpoint = { base_url: 'http://h/v1', model: 'm', api_key_env: 'sk-abc-123' };
    await expect(resolve(file(stringify({ endpoints: [endpoint] })))).rejects.toThrow(
      /NAME of an environment variable/,
    );
  });

  it.each([
    { model: 'm', apiKeyEnv: 'sk-abc-123' },
    { model: 'm', baseUrl: 'http://user:sk-abc-123@h/v1' },
    { model: 'm', baseUrl: 'http://' },
  ])('refuses %o, and repeats no secret', async (flags) => {
    const error = await resolve(flags).catch((e) => e);
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringMatching(/^endpoints\.0\.\w+.*: write /) });
    expect(error.message).not.toContain('abc-123');
  });

  it('lets a started run change its number, endpoints and budget only', async () => {
    mkdirSync(run());
    writeFileSync(join(run(), 'recipe.yaml'), stringify(await resolve({ model: 'm', language: 'zh' })));
    expect(await resolve({ num: '5', budget: '2', model: 'n' })).toMatchObject({
      language: 'zh',
      num: 5,
      budget: { cost: 2 },
    });
    await expect(resolve({ language: 'en' })).rejects.toThrow(/started with language "zh", and cannot go on with "en"/);
    await expect(resolve({ threshold: '0.6' })).rejects.toThrow(/started with dedupe/);
  });
});

describe('keys', () => {
  it("sends OpenAI's to OpenAI only, and another where its variable is named", async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-1');
    vi.stubEnv('OTHER_KEY', ' sk-2\n');
    const key = async (flags: RecipeFlags) => endpointsWithKeys(await resolve({ model: 'm', ...flags }))[0]!.apiKey;
    expect(await key({})).toBe('sk-1');
    expect(await key({ baseUrl: 'http://127.0.0.1:1/v1' })).toBeUndefined();
    expect(await key({ baseUrl: 'https://api.openai.com.example/v1' })).toBeUndefined();
    expect(await key({ baseUrl: 'https://h/v1', apiKeyEnv: 'OTHER_KEY' })).toBe('sk-2');
    vi.stubEnv('OPENAI_API_KEY', '');
    await expect(key({})).rejects.toThrow(/OPENAI_API_KEY is not set/);
  });
});

const progress: Progress = {
  stage: 'tasks',
  done: 250,
  wanted: 1000,
  answers: 20,
  accepted: 250,
  rejected: { too_short: 10, duplicate: 40 },
  spent: { requests: 20, promptTokens: 12_345, completionTokens: 45_000, cost: 0.25 },
};

describe('panel', () => {
  it('says how far, how much of it was good, and what it cost', () => {
    expect(panelLines(progress, { priced: true, budget: { cost: 5 } }, 90)).toEqual([
      'tasks     ██████░░░░░░░░░░░░░░░░░░ 250/1,000  eta 1:30',
      'answers   20, 83 % accepted',
      'rejected  50: duplicate 40, too short 10',
      'tokens    12,345 in, 45,000 out  cost 0.2500 of 5',
    ]);
  });

  it('writes about twenty plain lines where nobody looks on', () => {
    const out = new Output('human');
    const lines: string[] = [];
    vi.spyOn(out, 'say').mockImplementation((line) => void lines.push(line));
    let now = 0;
    const panel = new Panel(out, { priced: false, budget: {}, now: () => now });
    for (let done = 0; done <= 1000; done += 5) {
      now += 10;
      panel.update({ ...progress, done });
    }
    panel.end();
    expect(lines).toHaveLength(21);
    expect(lines[10]).toBe(
      'tasks 500/1,000 eta 0:01; answers 20, 83 % accepted; rejected 50: duplicate 40, too short 10; tokens 12,345 in, 45,000 out',
    );
  });
});
