// The chat from outside: commands on stdin, answers on stdout, talk on stderr; Ctrl-C stops a reply and nothing else.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configFromJson, loraLayout } from '../../src/models/index.ts';
import { saveAdapter } from '../../src/models/node.ts';
import { type CliOptions, runCli } from '../helpers/runCli.ts';
import { temporaryFolder, tinyConfigs, tinyModel, writeTinyModel } from '../helpers/tinyModel.ts';
import { lora, randomParams } from '../helpers/tinyRun.ts';

const folder = temporaryFolder();
const cwd = folder.path;
const flags = '--base-model tiny --max-new-tokens 6 --threads 1';
const chat = (lines: readonly string[], more = '', options: Partial<CliOptions> = {}) =>
  runCli(`chat ${flags}${more}`.split(' '), { cwd, stdin: lines.map((l) => `${l}\n`).join(''), ...options });
const ended = (stderr: string) => (stderr.match(/ended by \w+/g) ?? []).length;

beforeAll(async () => {
  writeTinyModel(join(cwd, 'tiny'), tinyModel());
  const config = configFromJson('config.json', { model_type: 'llama', ...tinyConfigs.tied });
  const layout = loraLayout(config, lora({ targetModules: ['q_proj'] }));
  await saveAdapter(join(cwd, 'one'), { layout, params: randomParams(layout), baseModel: 'tiny' });
});
afterAll(() => folder.remove());

describe('a chat', () => {
  it('changes who answers and compares them', async () => {
    const result = await chat(['/adapter', 'Hi', '/adapter base', 'Hi', '/compare Hi', '/bye', 'Hi'], ' --adapter one');
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/^tiny \+ one, template alpaca, greedy$/m);
    expect(result.stderr).toMatch(/^\* one: adapter, template alpaca, every question stands alone$/m);
    expect(ended(result.stderr)).toBe(2);
    expect(result.stdout).toMatch(/^tiny +\| one$/m);
  });

  it('goes on after everything that is wrong', async () => {
    const wrong = [
      '/adapter nope',
      '/adapter x=nope',
      '/set temperature x',
      '/set topk',
      '/set top-p 0.9',
      '/load nope',
      '/what',
    ];
    const result = await chat([...wrong, `${'long '.repeat(400)}`, 'Hi']);
    expect(result.code).toBe(0);
    expect(result.stderr.match(/^error .*$/gm)).toEqual([
      expect.stringContaining('[UNKNOWN_MODEL]'),
      expect.stringContaining('[ADAPTER_NOT_FOUND]'),
      expect.stringContaining('[USAGE]'),
      expect.stringContaining('[USAGE]'),
      expect.stringContaining('top_p 0.9 has no effect at temperature 0'),
      expect.stringContaining('[FILE_NOT_FOUND]'),
      expect.stringContaining('[TOO_LONG]'),
    ]);
    expect(ended(result.stderr)).toBe(1);
    expect(result.stdout).not.toBe('');
  });

  it('is saved, and goes on from there', async () => {
    const first = await chat(['/system Be brief.', 'Hi', 'And?', '/save talk.jsonl', '/save talk.md', 'Then?']);
    expect(first.code).toBe(0);
    expect(readFileSync(join(cwd, 'talk.md'), 'utf8')).toMatch(/^## system\n\nBe brief\.\n\n## user\n\nHi\n/);
    const second = await chat(['/load talk.jsonl', 'Then?']);
    expect(second.code).toBe(0);
    expect(first.stdout.endsWith(second.stdout)).toBe(true);
    const prompts = (stderr: string) => [...stderr.matchAll(/(\d+) \+ \d+ tokens/g)].map((m) => m[1]);
    expect(prompts(second.stderr)).toEqual(prompts(first.stderr).slice(-1));
  });

  it('takes messages of several lines', async () => {
    const several = await chat(['"""', 'one', '/clear', '"""', 'a\\', 'b']);
    expect(ended(several.stderr)).toBe(2);
    const json = (
      await runCli(`--format json chat ${flags}`.split(' '), { cwd, stdin: '"""\none\n/clear\n"""\na\\\nb' })
    ).stdout;
    const messages = json
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l).message);
    expect(messages).toEqual(['one\n/clear', 'a\nb']);
  });
});

describe('Ctrl-C', () => {
  it('stops the reply only', async () => {
    const options = { interruptWhen: (stdout: string) => stdout.length > 0 };
    const long = flags.replace('--max-new-tokens 6', '--max-new-tokens 400');
    const stdin = 'Hello\n/set max-new-tokens 3\nAgain\n/save stopped.jsonl\n';
    const result = await runCli(`chat ${long}`.split(' '), { cwd, stdin, ...options });
    expect(result.code).toBe(0);
    expect(result.stderr.match(/ended by \w+/g)).toEqual([
      'ended by aborted',
      expect.stringMatching(/ended by (length|eos)/),
    ]);
    // What there was of the answer is part of the conversation.
    expect(existsSync(join(cwd, 'stopped.jsonl'))).toBe(true);
    expect(readFileSync(join(cwd, 'stopped.jsonl'), 'utf8').trim().split('\n')).toHaveLength(4);
  });

  it('leaves when it comes twice and nothing is going on', async () => {
    const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const env = { PATH: process.env.PATH, HOME: join(cwd, 'home'), NO_COLOR: '1' };
    const child = spawn(process.execPath, [main, 'chat', ...flags.split(' ')], { cwd, env });
    let stderr = '';
    const seen = (text: string) =>
      new Promise<void>((done) => {
        const look = setInterval(() => {
          if (!stderr.includes(text)) return;
          clearInterval(look);
          done();
        }, 10);
      });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const left = new Promise((done) => child.on('close', done));
    await seen('Type a message');
    // The line is printed just before the signal is listened to.
    await new Promise((done) => setTimeout(done, 300));
    child.kill('SIGINT');
    await seen('press Ctrl-C once more');
    child.kill('SIGINT');
    expect(await left).toBe(0);
  });
});
