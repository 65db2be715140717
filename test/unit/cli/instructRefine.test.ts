// huacaya instruct answer, judge: what is asked and paid, and which files are left alone.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { instructCommand } from '../../../src/cli/commands/instruct.ts';
import { Output } from '../../../src/cli/output.ts';
import {
  startTeacherServer,
  type TeacherServer,
  type TeacherServerOptions,
} from '../../helpers/teacherServer/index.ts';

let folder: string;
let server: TeacherServer | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'huacaya-refine-'));
});
afterEach(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const isJudge = (prompt: string) => prompt.includes('How good is it?');

function rows(name: string, n: number): string {
  const path = join(folder, name);
  const list = Array.from({ length: n }, (_, i) => ({ instruction: `Explain number ${i}.`, input: '', output: 'so' }));
  writeFileSync(path, JSON.stringify(list));
  return path;
}

/** @returns the rows that were written. */
async function instruct(what: string, args: string[], out: string, options: TeacherServerOptions = {}) {
  server = await startTeacherServer({
    seed: 1,
    answer: (prompt) => (isJudge(prompt) ? 'Fine.\nScore: 4' : 'An answer.'),
    ...options,
  });
  const command = instructCommand(() => new Output('quiet')).exitOverride();
  const all = [what, ...args, '--model', 'teacher', '--base-url', server.url, '--out', join(folder, out)];
  await command.parseAsync(all, { from: 'user' });
  const path = join(folder, out, 'alpaca_data.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

describe('huacaya instruct judge', () => {
  it('does not write over the rows that it reads, nor into a run', async () => {
    const data = rows('alpaca_data.json', 3);
    const before = readFileSync(data, 'utf8');
    const bad = { answer: () => 'Score: 1' };
    await expect(instruct('judge', ['--data-path', data], '.', bad)).rejects.toMatchObject({ code: 'USAGE' });
    expect(readFileSync(data, 'utf8')).toBe(before);
    writeFileSync(join(folder, 'recipe.yaml'), 'num: 5\n');
    const others = rows('others.json', 3);
    await expect(instruct('judge', ['--data-path', others], '.', bad)).rejects.toMatchObject({ code: 'USAGE' });
    expect(readFileSync(data, 'utf8')).toBe(before);
    expect(server!.asked).toEqual([]);
  });
});

describe('huacaya instruct answer', () => {
  it('writes nothing at Ctrl-C, and goes on', async () => {
    const data = rows('tasks.json', 40);
    const stopAt = (id: string) => (prompt: string, asked: { id: string }) => {
      if (asked.id === id) process.emit('SIGINT');
      return isJudge(prompt) ? 'Score: 4' : 'An answer.';
    };
    const args = ['--data-path', data, '--n', '2', '--concurrency', '1'];
    for (const id of ['answer/5/0', 'judge/9']) {
      expect(await instruct('answer', args, 'out', { answer: stopAt(id) })).toBeUndefined();
      expect(process.exitCode).toBe(130);
      process.exitCode = 0;
      await server!.close();
    }
    expect(await instruct('answer', args, 'out')).toHaveLength(40);
    expect(server!.paid().size).toBeLessThan(160);
  });

  it('has as many requests under way as --concurrency says', async () => {
    let open: () => void = () => {};
    const full = new Promise<void>((resolve) => {
      open = resolve;
    });
    const gate = async () => {
      if (server!.peak() >= 24) open();
      await Promise.race([full, new Promise((done) => setTimeout(done, 200))]);
    };
    await instruct('answer', ['--data-path', rows('tasks.json', 40), '--concurrency', '24'], 'out', { gate });
    expect(server!.peak()).toBe(24);
  });

  it('pays no judge for answers that cannot be taken', async () => {
    const answer = (prompt: string, { id }: { id: string }) =>
      isJudge(prompt) ? 'Score: 4' : id.endsWith('/0') ? '' : 'An answer.';
    const args = ['--data-path', rows('tasks.json', 3), '--n', '2'];
    expect(await instruct('answer', args, 'out', { answer })).toHaveLength(3);
    expect(server!.asked.filter(({ id }) => id.startsWith('judge/'))).toHaveLength(3);
  });

  it.each(['best', 'pairs'])('tells marks that cannot be read from low ones, with --keep %s', async (keep) => {
    const done = vi.spyOn(Output.prototype, 'json').mockImplementation(() => {});
    const args = ['--data-path', rows('tasks.json', 3), '--n', '2', '--keep', keep];
    await instruct('answer', args, 'out', { answer: (prompt) => (isJudge(prompt) ? 'No idea.' : 'An answer.') });
    expect(done.mock.lastCall![0]).toMatchObject({ rows: 0, dropped: { 'without a mark': 3 } });
    done.mockRestore();
  });

  it('says that a score needs several answers', async () => {
    const args = ['--data-path', rows('tasks.json', 3), '--min-score', '4'];
    await expect(instruct('answer', args, 'out')).rejects.toMatchObject({ code: 'USAGE' });
    expect(server!.asked).toEqual([]);
  });
});
