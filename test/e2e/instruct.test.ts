// huacaya instruct from the shell, against a teacher on loopback that misbehaves as real ones do.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { loadAssistant, storageFrom } from '../../src/assistant/node.ts';
import { createRng } from '../../src/base/index.ts';
import { instructCommand } from '../../src/cli/commands/instruct.ts';
import { Output } from '../../src/cli/output.ts';
import { startServer } from '../../src/serve/index.ts';
import { goldenModel, goldenTitle } from '../golden/goldenModel.ts';
import { type CliOptions, expectOneError, runCli, treeOf } from '../helpers/runCli.ts';
import { startTeacherServer, type TeacherServer, type TeacherServerOptions } from '../helpers/teacherServer/index.ts';

let cwd: string;
const servers: TeacherServer[] = [];

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'huacaya-instruct-'));
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function teacher(options: TeacherServerOptions = {}): Promise<TeacherServer> {
  const server = await startTeacherServer({ seed: 7, ...options });
  servers.push(server);
  return server;
}

const instruct = (server: TeacherServer, out: string, args: readonly string[], options: Partial<CliOptions> = {}) =>
  runCli(['instruct', '--model', 'teacher', '--base-url', server.url, '--out', out, ...args], { cwd, ...options });

/** What a run leaves, but for how it came there. */
function results(out: string): Record<string, string> {
  const tree = treeOf(join(cwd, out));
  const inputs = /^(journal\.|recipe\.yaml|prompts\/|seed_tasks)/;
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !inputs.test(name)));
}

const json = (out: string, name: string) => JSON.parse(readFileSync(join(cwd, out, name), 'utf8'));

describe('huacaya instruct', () => {
  it('makes 2,000 tasks with a teacher that misbehaves', async () => {
    const server = await teacher({ faults: 0.03, hangMs: 50 });
    const text = ['--structured', 'false'];
    const quiet = await instruct(server, 'a', ['--num', '2000', '--concurrency', '16', ...text]);
    expect(quiet).toMatchObject({ code: 0, stdout: 'a/alpaca_data.json\n' });
    expect(quiet.stderr).toMatch(/accepted {2}2,000 \(\d\d % of what was offered\), 2,000 rows/);
    const tasks: { instruction: string; output: string }[] = json('a', 'alpaca_data.json');
    expect(tasks).toHaveLength(2000);
    expect(new Set(tasks.map(({ instruction }) => instruction)).size).toBe(2000);
    expect(tasks.filter(({ output }) => output === '')).toEqual([]);
    const { rejected, spent } = json('a', 'summary.json');
    expect(Object.keys(rejected)).toEqual(expect.arrayContaining(['duplicate', 'keyword', 'too_short', 'unreadable']));
    expect(spent.requests).toBe(server.paid().size);
    expect([...server.paid().values()].filter((times) => times !== 1)).toEqual([]);
  }, 180_000);

  it('leaves the same files however often it is killed, and pays nothing twice', async () => {
    const server = await teacher({ faults: 0.03, hangMs: 50, latencyMs: 20 });
    const args = ['--num', '500', '--structured', 'false'];
    expect((await instruct(server, 'whole', [...args, '--concurrency', '16'])).code).toBe(0);
    const rng = createRng(5);
    let runs = 0;
    for (let code: number | null = null; code !== 0; runs++) {
      // After so many lines of progress, those of what is replayed included.
      const lines = 4 + rng.below(8) + 10 * runs;
      const run = await instruct(server, 'killed', [...args, '--concurrency', '3', '--format', 'json'], {
        signal: 'SIGKILL',
        ...(runs < 2 ? { interruptWhen: (stdout) => stdout.split('\n').length > lines } : {}),
      });
      code = run.code;
      expect(run.code, run.stderr).toBe(runs < 2 ? null : 0);
    }
    expect(results('killed')).toEqual(results('whole'));
    expect([...server.paid().values()].filter((times) => times !== 1)).toEqual([]);
  }, 180_000);

  it('stops at Ctrl-C with what is there, and goes on for more with the same folder', async () => {
    const server = await teacher({ latencyMs: 20 });
    const stopped = await instruct(server, 'c', ['--num', '300', '--lookahead', '2', '--format', 'json'], {
      interruptWhen: (stdout) => stdout.split('\n').length > 4,
    });
    expect(stopped.code).toBe(130);
    const there = json('c', 'alpaca_data.json');
    expect(there.length).toBeGreaterThan(10);
    expect(json('c', 'summary.json')).toMatchObject({ complete: false, accepted: there.length });
    const more = await runCli(['instruct', '--out', 'c', '--num', '320'], { cwd });
    expect(more.code, more.stderr).toBe(0);
    const now = json('c', 'alpaca_data.json');
    expect(now.slice(0, there.length)).toEqual(there);
    expect(now).toHaveLength(320);
    expect([...server.paid().values()].filter((times) => times !== 1)).toEqual([]);
  });

  it('says in one line what is wrong, and writes no data', async () => {
    const server = await teacher({ key: 'right' });
    const args = ['--num', '10', '--api-key-env', 'TEACHER_KEY'];
    const wrong = await instruct(server, 'e', args, { env: { TEACHER_KEY: 'wrong-secret' } });
    expectOneError(wrong, 1, /TEACHER_KEY\]/);
    expect(wrong.stderr + readFileSync(join(cwd, 'e', 'journal.jsonl'), 'utf8')).not.toContain('wrong-secret');
    expect(results('e')).toEqual({});
  });

  it('shows the first prompt and what it may cost, and asks nobody', async () => {
    const { code, stdout, stderr } = await runCli(
      [
        'instruct',
        '--dry-run',
        '--model',
        'm',
        '--base-url',
        'http://127.0.0.1:9/v1',
        '--prices',
        '1,2',
        '--structured',
        'false',
      ],
      { cwd },
    );
    expect({ code, open: stdout.trimEnd().endsWith('5. Instruction:') }).toEqual({ code: 0, open: true });
    expect(stderr).toMatch(/about [\d,]+ requests, [\d,]+ tokens in and [\d,]+ out, cost \d+\.\d\d/);
  });
});

describe('huacaya instruct batch', () => {
  /** The command in this process; its JSON lines. */
  async function batch(...args: string[]): Promise<Record<string, unknown>[]> {
    const out = new Output('quiet');
    const lines: Record<string, unknown>[] = [];
    vi.spyOn(out, 'json').mockImplementation((value) => void lines.push(value as Record<string, unknown>));
    const command = instructCommand(() => out).exitOverride();
    await command.parseAsync(['batch', ...args, '--out', join(cwd, 'batch')], { from: 'user' });
    return lines;
  }

  it('makes the data in rounds, and the same data as a run that asks at once', async () => {
    let late = true;
    const expireOnce = (id: string) => {
      if (id !== 'tasks/2' || !late) return undefined;
      late = false;
      return 'expire' as const;
    };
    const server = await teacher({ batchFault: expireOnce });
    const flags = ['--model', 'teacher', '--base-url', server.url, '--num', '60', '--prices', '1,2'];
    const [prepared] = await batch('prepare', ...flags);
    expect(prepared).toMatchObject({ type: 'prepared', requests: 6, files: ['requests-0001.jsonl'] });
    for (let rounds = 0; ; rounds++) {
      expect(rounds).toBeLessThan(10);
      await batch('submit');
      const [collected, done] = await batch('collect');
      if (done) {
        expect(done).toMatchObject({ type: 'done', complete: true, accepted: 60 });
        break;
      }
      if (collected!.waiting === 0 && collected!.again === 0) await batch('prepare');
    }
    const lookahead = parse(readFileSync(join(cwd, 'batch', 'recipe.yaml'), 'utf8')).lookahead;
    const once = await instruct(server, 'once', ['--num', '60', '--lookahead', String(lookahead)]);
    expect(once.code, once.stderr).toBe(0);
    expect(json('once', 'alpaca_data.json')).toEqual(json('batch', 'alpaca_data.json'));
  });
});

describe.skipIf(!goldenModel)(`a teacher of one's own, ${goldenTitle}`, () => {
  it('makes tasks with a model that huacaya serves, without a key; a model is trained on them, and compared', async () => {
    const storage = await storageFrom({ HUACAYA_CACHE: cwd, HF_HOME: cwd });
    const assistant = await loadAssistant(goldenModel, { storage, contextLength: 2048 });
    const server = await startServer(assistant, { port: 0 });
    try {
      writeFileSync(join(cwd, 'seeds.jsonl'), '{"instruction": "Name a fruit that is red.", "output": "An apple."}\n');
      // As little as shows that it works: a model of this size writes no good tasks.
      writeFileSync(join(cwd, 'small.yaml'), 'filters: { min_words: 1 }\ntopics: false\n');
      const asked = ['--num', '1', '--prompt-tasks', '1', '--tasks-per-request', '2', '--max-tokens', '100'];
      const args = [...asked, '--seeds', 'seeds.jsonl', '--temperature', '0', '--lookahead', '1'];
      const more = ['--recipe', 'small.yaml', '--model', assistant.id];
      const local = await runCli(['instruct', ...args, ...more, '--base-url', `${server.url}v1`, '--out', 'local'], {
        cwd,
      });
      expect(local.code, local.stderr).toBe(0);
      expect(json('local', 'alpaca_data.json')).toMatchObject([{ instruction: expect.stringMatching(/./) }]);
    } finally {
      await server.close();
      await assistant.close();
    }
    // What it wrote is what training reads, and what was trained answers.
    const run = ['--output-dir', 'run', '--max-steps', '1', '--val-set-size', '0', '--no-quantised-cache'];
    const data = ['--data-path', 'local/alpaca_data.json', '--prompt-template-name', 'alpaca_short'];
    const train = await runCli(['train', '--base-model', goldenModel!, ...data, ...run], { cwd });
    expect(train.code, train.stderr).toBe(0);
    const compare = await runCli(['compare', '--adapter', 'run/adapter', '--max-new-tokens', '4', 'Name a fruit.'], {
      cwd,
    });
    expect(compare.code, compare.stderr).toBe(0);
    expect(compare.stdout).toMatch(/^base +\| run$/m);
  }, 240_000);
});
