// Two processes that want the same model.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from '../../../src/hub/index.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-lock-'));
  path = join(folder, 'deep', 'model.lock');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('withLock', () => {
  it('lets one in at a time, tells the others once, and cleans up, also after an error', async () => {
    let inside = 0;
    let most = 0;
    let waits = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await sleep(30);
      inside--;
    };
    const options = { pollMs: 5, onWait: () => waits++ };
    await Promise.all([1, 2, 3].map(() => withLock(path, work, options)));
    expect(most).toBe(1);
    expect(waits).toBe(2);
    const failing = async () => {
      throw new Error('no');
    };
    await expect(withLock(path, failing)).rejects.toThrow('no');
    expect(await readdir(join(folder, 'deep'))).toEqual([]);
  });

  it('takes over from a dead process and from an old lock, not from a living one', async () => {
    let here = '';
    await withLock(path, async () => {
      here = (JSON.parse(await readFile(path, 'utf8')) as { host: string }).host;
    });
    const held = (pid: number, host = here) => writeFile(path, JSON.stringify({ pid, host, id: 'x' }));
    const dead = spawnSync(process.execPath, ['--version']).pid;
    await held(dead);
    expect(await withLock(path, async () => 'in', { pollMs: 5 })).toBe('in');

    await held(1, 'another-host');
    const old = new Date(Date.now() - 120_000);
    await utimes(path, old, old);
    expect(await withLock(path, async () => 'in', { pollMs: 5 })).toBe('in');

    await held(dead, 'another-host');
    const signal = AbortSignal.timeout(60);
    await expect(withLock(path, async () => 'in', { pollMs: 5, signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readFile(path, 'utf8')).toContain('another-host');
  });

  it('lets one in when many find the same lock left behind', async () => {
    await withLock(path, async () => {});
    let inside = 0;
    let most = 0;
    for (let round = 0; round < 6; round++) {
      await writeFile(path, JSON.stringify({ pid: 1, host: 'another-host', id: 'x' }));
      const old = new Date(Date.now() - 120_000);
      await utimes(path, old, old);
      const work = async () => {
        most = Math.max(most, ++inside);
        await sleep(1);
        inside--;
      };
      await Promise.all(Array.from({ length: 8 }, () => withLock(path, work, { pollMs: 1 })));
    }
    expect(most).toBe(1);
    expect(await readdir(join(folder, 'deep'))).toEqual([]);
  });

  it('says so when the folder of the lock is a file, instead of waiting for it', async () => {
    await writeFile(join(folder, 'deep'), '');
    await expect(withLock(path, async () => {}, { pollMs: 1 })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});
