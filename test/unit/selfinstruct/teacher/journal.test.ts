// The journal: what is acknowledged is there after any end of the process, and nothing is taken for more than it is.
import { spawnSync } from 'node:child_process';
import { appendFile, readFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { machineName } from '../../../../src/base/node.ts';
import { createTeacher } from '../../../../src/selfinstruct/teacher/createTeacher.ts';
import { openJournal } from '../../../../src/selfinstruct/teacher/journal.ts';
import type { AnsweredRecord } from '../../../../src/selfinstruct/teacher/records.ts';
import { lockRun } from '../../../../src/selfinstruct/teacher/runLock.ts';
import { ask, freshFolder, server, setUp } from './helpers.ts';

const reply = (text: string): AnsweredRecord['reply'] => ({
  text,
  finishReason: 'stop',
  promptTokens: 3,
  completionTokens: 5,
  cost: 0.25,
  model: 'm',
  createdAt: 1,
});
const asked = (id: string) => ({ asked: id, hash: `h-${id}`, endpoint: 'e', tokens: 100, cost: 1 });
const answered = (id: string, text = id): AnsweredRecord => ({
  answered: id,
  hash: `h-${id}`,
  endpoint: 'e',
  settles: false,
  reply: reply(text),
});

describe('the journal', () => {
  it('has after a cut at any byte what was complete, and goes on', async () => {
    const folder = await freshFolder();
    const path = join(folder, 'journal.jsonl');
    const first = openJournal(folder);
    await Promise.all([first.asked(asked('a')), first.asked(asked('b'))]);
    await Promise.all([first.answered(answered('a', 'ä水\u2028\n')), first.unpaid({ unpaid: 'b' })]);
    await first.close();
    const whole = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.constantFrom('', '\n', '\0\0\0\n\0'), async (size, rubbish) => {
        await writeFile(path, Buffer.concat([whole.subarray(0, size), Buffer.from(rubbish)]));
        const journal = openJournal(folder);
        // The end of a line may be all that was missing.
        const mended = rubbish === '\n' && whole[size] === 10 ? 1 : 0;
        const lines = whole.subarray(0, size).toString().split('\n').length - 1 + mended;
        const { accounts, held, paid } = journal.ledger;
        expect(accounts.size).toBe(Math.max(0, Math.min(2, lines - 1)));
        expect(paid.tokens).toBe(lines >= 4 ? 8 : 0);
        expect(held.tokens).toBe([0, 0, 100, 200, 100, 0][lines]);
        if (lines >= 4) expect((await journal.read('a')).text).toBe('ä水\u2028\n');
        await journal.answered(answered('c'));
        expect((await journal.read('c')).text).toBe('c');
        await journal.close();
        const again = openJournal(folder);
        expect((await again.read('c')).text).toBe('c');
        expect(again.run).toBe(lines >= 1 ? first.run : again.run);
        await again.close();
      }),
      { numRuns: 40 },
    );
  });

  it('refuses a file with a bad line in the middle, and one that is something else', async () => {
    const folder = await freshFolder();
    const path = join(folder, 'journal.jsonl');
    const journal = openJournal(folder);
    await journal.asked(asked('a'));
    await journal.close();
    await appendFile(path, `{"answered":\n${JSON.stringify(asked('b'))}\n`);
    expect(() => openJournal(folder)).toThrow(/journal\.jsonl: is not a journal .*: line 3 cannot be read/);
    await writeFile(path, `${JSON.stringify(asked('b'))}\n`);
    expect(() => openJournal(folder)).toThrow(/does not begin like one/);
    // A failure to open leaves no lock behind.
    await truncate(path, 0);
    await openJournal(folder).close();
  });

  it('keeps answers on the disk, and finds each of many', async () => {
    const folder = await freshFolder();
    const journal = openJournal(folder);
    const ids = Array.from({ length: 3000 }, (_, i) => `r/${i}`);
    await Promise.all(ids.map((id) => journal.answered(answered(id, `${id} ${'é'.repeat(1000)}`))));
    await journal.close();
    const again = openJournal(folder);
    expect(again.ledger.spent()).toEqual({ requests: 3000, promptTokens: 9000, completionTokens: 15_000, cost: 750 });
    for (const id of ['r/0', 'r/1777', 'r/2999']) expect((await again.read(id)).text.startsWith(`${id} é`)).toBe(true);
    await again.close();
  });

  it('says that the disk is full, takes nothing more, and loses nothing', async () => {
    const folder = await freshFolder();
    let left = 1000;
    const journal = openJournal(folder, {
      async write(fd, bytes, offset) {
        const { realAppendDisk } = await import('../../../../src/selfinstruct/teacher/appender.ts');
        await realAppendDisk.write(fd, bytes.subarray(0, left), offset);
        left -= bytes.length;
        if (left < 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      },
    });
    await journal.answered(answered('a'));
    await expect(journal.answered(answered('b', 'x'.repeat(2000)))).rejects.toMatchObject({ code: 'NO_SPACE' });
    await expect(journal.asked(asked('c'))).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(journal.ledger.accounts.get('b')?.answer).toBeUndefined();
    await expect(journal.close()).rejects.toMatchObject({ code: 'NO_SPACE' });
    const again = openJournal(folder);
    expect([...again.ledger.accounts.keys()]).toEqual(['a']);
    await again.close();
  });
});

describe('a run that goes on', () => {
  it('answers from its journal, without the endpoint', async () => {
    const one = await server();
    const { teacher, folder } = await setUp([{ url: one.url, price: { input: 1, output: 1 } }]);
    const replies = await Promise.all(['a', 'b'].map((id) => teacher.ask(ask(id))));
    const spent = teacher.spent();
    await teacher.close();
    await expect(teacher.ask(ask('c'))).rejects.toMatchObject({ code: 'TEACHER_CLOSED' });
    const again = await setUp([{ url: 'http://127.0.0.1:1/v1' }], { folder });
    expect(await Promise.all(['a', 'b'].map((id) => again.teacher.ask(ask(id))))).toEqual(replies);
    expect(again.teacher.spent()).toEqual(spent);
    await expect(again.teacher.ask(ask('a', { sampling: { maxTokens: 3 } }))).rejects.toMatchObject({
      code: 'TEACHER_CHANGED',
      message: 'request a is not the one that this run asked before: the recipe changed',
    });
  });

  it('sends what has no answer to the same endpoint again, with the same key', async () => {
    let hangs = 0;
    const one = await server({ fault: ({ id }) => (id === 'a' && hangs++ === 0 ? 'hang' : undefined) });
    const two = await server();
    const endpoints = [{ url: one.url, weight: 2 }, { url: two.url }];
    const { teacher, folder, events } = await setUp(endpoints, { patience: { closeMs: 0 } });
    const lost = teacher.ask(ask('a'));
    lost.catch(() => {});
    while (!events.some(({ type }) => type === 'asked')) await new Promise((resolve) => setTimeout(resolve, 2));
    await teacher.close();
    await expect(lost).rejects.toMatchObject({ code: 'TEACHER_CLOSED' });
    const again = await setUp(endpoints, { folder });
    // What was begun since does not change where it goes.
    await again.teacher.ask(ask('b'));
    await again.teacher.ask(ask('a'));
    const keys = one.asked.filter(({ id }) => id === 'a').map(({ key }) => key);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(two.asked.filter(({ id }) => id === 'a')).toEqual([]);
    const other = await setUp(endpoints);
    await other.teacher.ask(ask('a'));
    expect(one.asked.at(-1)!.key).not.toBe(keys[0]);
  });

  it('counts what has no answer with its maximum', async () => {
    const folder = await freshFolder();
    const journal = openJournal(folder);
    await journal.asked(asked('x'));
    await journal.close();
    const one = await server();
    const { teacher } = await setUp([{ url: one.url }], { folder, budget: { tokens: 350 } });
    await expect(teacher.ask(ask('a'))).rejects.toMatchObject({
      message: expect.stringMatching(/0 of 350 tokens for 0 answers, up to 100 more for requests without an answer;/),
    });
  });
});

describe('the lock', () => {
  it('keeps a second process out, and is taken over from a dead one', async () => {
    const one = await server();
    const { folder } = await setUp([{ url: one.url }]);
    expect(() => createTeacher({ endpoints: [{ url: one.url, model: 'm' }], folder })).toThrow(
      expect.objectContaining({
        code: 'TEACHER_RUN_IN_USE',
        message: expect.stringMatching(new RegExp(`process ${process.pid} is working in this folder`)),
      }),
    );
    const path = join(await freshFolder(), 'lock');
    const held = (pid: number, host = machineName()) => writeFile(path, JSON.stringify({ pid, host, id: 'x' }));
    await held(spawnSync(process.execPath, ['--version']).pid);
    lockRun(path).release();
    await held(1, 'another-host');
    expect(() => lockRun(path)).toThrow(/process 1 on another-host/);
    const old = new Date(Date.now() - 600_000);
    await utimes(path, old, old);
    const mine = lockRun(path);
    await held(1, 'another-host');
    expect(() => mine.check()).toThrow(/is working in this folder/);
    mine.release();
    // What belongs to others stays.
    expect(await readFile(path, 'utf8')).toContain('another-host');
  });
});
