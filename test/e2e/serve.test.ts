// huacaya serve from outside, with a tiny model: how it starts, what the official client gets, and how it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { chatChunk, chatReply, completionReply, infoReply } from '../../src/serve/schemas/replies.ts';
import { until } from '../helpers/fakeServer.ts';
import { expectOneError, runCli } from '../helpers/runCli.ts';
import { temporaryFolder, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = temporaryFolder();
const cwd = folder.path;
beforeAll(async () => {
  writeTinyModel(join(cwd, 'tiny'), tinyModel());
  const rows = ['one', 'two', 'three', 'four', 'five', 'six'].map((word, i) => ({
    instruction: `Write ${i + 1} in letters.`,
    input: '',
    output: `It is ${word}.`,
  }));
  writeFileSync(join(cwd, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const train =
    'train --base-model tiny --data-path rows.jsonl --prompt-template-name alpaca_short --threads 1 --num-epochs 2 ' +
    '--batch-size 3 --learning-rate 0.05 --lora-r 4 --val-set-size 0 --output-dir run';
  expect(await runCli(train.split(' '), { cwd })).toMatchObject({ code: 0 });
});
afterAll(() => folder.remove());

interface Served {
  child: ChildProcess;
  url: string;
  stdout(): string;
  stderr(): string;
  ended: Promise<number | null>;
  client(apiKey?: string): OpenAI;
}

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function serve(flags: string, env: Record<string, string> = {}): Promise<Served> {
  const home = join(cwd, 'home');
  const args = `${flags} --base-model tiny --port 0 --threads 1`.trim().split(/\s+/);
  const child = spawn(process.execPath, [main, 'serve', ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: home, HF_HOME: home, HUACAYA_CACHE: home, NO_COLOR: '1', ...env },
  });
  children.push(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  // The key is the last of what it says.
  const found = () =>
    /listening on http:\/\/[^:]+:(\d+)\/.*\n {2}key/s.exec(stderr)?.[1] ?? /"port":(\d+).*\n/.exec(stdout)?.[1];
  await until(() => found() !== undefined || child.exitCode !== null, 50_000);
  if (child.exitCode !== null) throw new Error(`it did not start: ${stderr}`);
  const url = `http://127.0.0.1:${found()}`;
  return {
    child,
    url,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    client: (apiKey = 'none') => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 }),
  };
}

const messages = [{ role: 'user' as const, content: 'Write 3 in letters.' }];

describe('huacaya serve', () => {
  it('says where it is and what it does on stderr, answers the official client, and ends on SIGTERM', async () => {
    const s = await serve('--adapter run/adapter --access-log');
    for (const line of [/model {5}tiny, template chat/, /model {5}run, template alpaca_short/, /key {7}none needed/]) {
      expect(s.stderr()).toMatch(line);
    }
    const client = s.client();
    expect((await client.models.list()).data.map((m) => m.id)).toEqual(['tiny', 'run']);
    const info = infoReply.parse(await (await fetch(`${s.url}/v1/huacaya/info`)).json());
    expect(info).toMatchObject({ base: 'tiny', adapter_changes: false });

    const base = { model: 'tiny', messages, max_tokens: 12 };
    const whole = await client.chat.completions.create({ ...base, logprobs: true, top_logprobs: 2 });
    chatReply.parse(whole);
    const again = await client.chat.completions.create(base);
    expect(again.choices[0]!.message.content).toBe(whole.choices[0]!.message.content);
    const pieces: string[] = [];
    for await (const chunk of await client.chat.completions.create({ ...base, stream: true })) {
      chatChunk.parse(chunk);
      pieces.push(chunk.choices[0]?.delta.content ?? '');
    }
    expect(pieces.join('')).toBe(whole.choices[0]!.message.content);
    const tuned = await client.chat.completions.create({ ...base, model: 'run' });
    expect(tuned.choices[0]!.message.content).not.toBe(whole.choices[0]!.message.content);

    const sampled = { ...base, temperature: 1, seed: 4, n: 2 };
    const two = await client.chat.completions.create(sampled);
    expect((await client.chat.completions.create(sampled)).choices.map((c) => c.message)).toEqual(
      two.choices.map((c) => c.message),
    );
    const text = await client.completions.create({
      model: 'run',
      prompt: ['It is', 'Write'],
      logprobs: 1,
      max_tokens: 4,
    });
    completionReply.parse(text);
    expect(text.choices).toHaveLength(2);
    const schema = {
      type: 'object',
      properties: { ok: { type: 'boolean' } },
      required: ['ok'],
      additionalProperties: false,
    };
    const json = await client.chat.completions.create({
      model: 'tiny',
      messages,
      max_tokens: 60,
      response_format: { type: 'json_schema', json_schema: { name: 'ok', schema } },
    });
    if (json.choices[0]!.finish_reason === 'stop')
      expect(JSON.parse(json.choices[0]!.message.content!)).toHaveProperty('ok');
    await expect(client.chat.completions.create({ ...base, top_p: 0.5 })).rejects.toMatchObject({ status: 400 });
    await expect(client.models.retrieve('runn')).rejects.toMatchObject({ status: 404 });

    expect(s.stdout()).toBe('');
    expect(s.stderr()).toMatch(/POST \/v1\/chat\/completions 200 \d+ ms, \d+ \+ 12 tokens req_/);
    expect(s.stderr()).not.toContain('Write 3');
    s.child.kill('SIGTERM');
    expect(await s.ended).toBe(0);
  });

  it('lets a running answer end after the first signal', async () => {
    const s = await serve('');
    const answer = s.client().chat.completions.create({
      model: 'tiny',
      messages,
      max_tokens: 60,
      ...({ ignore_eos: true } as object),
      stream: true,
    });
    let tokens = 0;
    let told = false;
    for await (const chunk of await answer) {
      if (!told) s.child.kill('SIGTERM');
      told = true;
      if (chunk.choices[0]?.finish_reason) tokens = 1;
    }
    expect(tokens).toBe(1);
    expect(await s.ended).toBe(0);
    expect(s.stderr()).toContain('running answers are finished first');
  });

  it('ends at once at the second signal', async () => {
    const s = await serve('--max-queue 4 --drain-timeout 600');
    const call = { model: 'tiny', messages, n: 8, temperature: 1, ...({ ignore_eos: true } as object) };
    const lost = s
      .client()
      .chat.completions.create(call)
      .catch((e) => e);
    const metrics = async () => (await fetch(`${s.url}/metrics`)).text();
    while (/huacaya_answers_running 0/.test(await metrics())) await new Promise((r) => setTimeout(r, 5));
    s.child.kill('SIGINT');
    await until(() => s.stderr().includes('running answers are finished first') || s.child.exitCode !== null);
    s.child.kill('SIGINT');
    await s.ended;
    // Or all was done before it came.
    expect(['SIGINT', 0]).toContain(s.child.signalCode ?? s.child.exitCode);
    await lost;
  });

  it('takes its key from a file or the environment, and never shows it', async () => {
    writeFileSync(join(cwd, 'key.txt'), 'a-key-from-a-file\n');
    for (const [flags, env, key] of [
      ['--api-key-file key.txt', { HUACAYA_API_KEY: 'not-this-one-though' }, 'a-key-from-a-file'],
      ['--host 0.0.0.0', { HUACAYA_API_KEY: 'a-key-from-outside' }, 'a-key-from-outside'],
    ] as const) {
      const s = await serve(`${flags} --format json`, env as Record<string, string>);
      expect((await fetch(`${s.url}/v1/models`)).status).toBe(401);
      expect((await fetch(`${s.url}/healthz`)).status).toBe(200);
      expect((await s.client(key).models.list()).data).toHaveLength(1);
      expect(JSON.parse(s.stdout())).toMatchObject({ event: 'listening', models: [{ id: 'tiny' }] });
      expect(s.stdout() + s.stderr()).not.toContain(key);
      s.child.kill('SIGTERM');
      await s.ended;
    }
  });

  it('is said in its help to be safe by default', async () => {
    const help = await runCli(['serve', '--help'], { cwd });
    expect(help.stdout).toMatch(/--host <address>[^-]+needs a key\s+\(default: "127\.0\.0\.1"\)/);
  });
});

describe('before anything is loaded it refuses', () => {
  const refused = (args: string, message: RegExp, env: Record<string, string> = {}) =>
    runCli(`serve --base-model no-such-model ${args}`.split(' '), { cwd, env }).then((r) =>
      expectOneError(r, 2, message),
    );

  it('an address that others can reach without a key', async () => {
    await refused('--host 0.0.0.0', /0\.0\.0\.0 can be reached from other machines/);
    await refused('--host ::', /can be reached/, { HUACAYA_API_KEY: '' });
  });

  it('keys that are none, two keys, and settings that cannot be', async () => {
    await refused('--api-key short', /8 to 512/);
    await refused('--api-key long-enough --api-key-file x', /not both/);
    await refused('--allow-origin example', /is no origin/);
    await refused('--max-queue -1', /max-queue is -1/);
  });

  it('a file for the key that is not there', async () => {
    const result = await runCli('serve --base-model tiny --api-key-file nowhere.txt'.split(' '), { cwd });
    expectOneError(result, 1, /nowhere\.txt: no such file/);
  });
});

it('a port that is taken is one clear error', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await until(() => other.listening);
  const { port } = other.address() as { port: number };
  const result = await runCli(`serve --base-model tiny --threads 1 --port ${port}`.split(' '), { cwd });
  expectOneError(result, 2, /is taken by another program/);
  other.close();
});
