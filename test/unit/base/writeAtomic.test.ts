// Files and folders are complete or absent, also when the disk is full.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Disk, writeFileAtomic, writeFolderAtomic } from '../../../src/base/node.ts';
import { temporaryFolder } from '../../helpers/tinyModel.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
let next = 0;
const fresh = () => {
  const path = join(folder.path, `case-${next++}`);
  mkdirSync(path);
  return path;
};

/** A disk on which so many bytes fit. */
const fullDisk = (room: number, code = 'ENOSPC'): Disk => ({
  async write(handle, bytes) {
    await handle.write(bytes.subarray(0, room));
    if (bytes.length > room) throw Object.assign(new Error(`${code}: no space left on device, write`), { code });
  },
});

describe('a file', () => {
  it('is written, and replaced, and leaves nothing beside it', async () => {
    const at = fresh();
    const path = join(at, 'a.txt');
    await writeFileAtomic(path, 'one');
    await writeFileAtomic(path, new Uint8Array([0, 255]));
    expect([...readFileSync(path)]).toEqual([0, 255]);
    expect(readdirSync(at)).toEqual(['a.txt']);
  });

  it('makes the folders that it needs', async () => {
    const path = join(fresh(), 'b', 'c', 'd.txt');
    await writeFileAtomic(path, 'deep');
    expect(readFileSync(path, 'utf8')).toBe('deep');
  });

  it.each(['ENOSPC', 'EDQUOT'])('stays as it was when the disk is full (%s)', async (code) => {
    const at = fresh();
    const path = join(at, 'a.txt');
    writeFileSync(path, 'old content');
    await expect(writeFileAtomic(path, 'new content', fullDisk(4, code))).rejects.toMatchObject({
      code: 'NO_SPACE',
      exitCode: 1,
      message: expect.stringContaining(path),
      hint: expect.stringMatching(/space/),
    });
    expect(readFileSync(path, 'utf8')).toBe('old content');
    expect(readdirSync(at)).toEqual(['a.txt']);
  });

  it('is absent when it was absent and the disk is full', async () => {
    const at = fresh();
    await expect(writeFileAtomic(join(at, 'a.txt'), 'new', fullDisk(0))).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(readdirSync(at)).toEqual([]);
  });

  it('is refused with one clear error where a file is in the way of its folder', async () => {
    const at = fresh();
    writeFileSync(join(at, 'file'), 'x');
    await expect(writeFileAtomic(join(at, 'file', 'a.txt'), 'new')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(readdirSync(at)).toEqual(['file']);
  });
});

describe('a folder', () => {
  const fill = (text: string) => (temporary: string) => writeFileAtomic(join(temporary, 'a.txt'), text);

  it('appears complete', async () => {
    const at = fresh();
    await writeFolderAtomic(join(at, 'out'), fill('one'));
    expect(readdirSync(at)).toEqual(['out']);
    expect(readFileSync(join(at, 'out', 'a.txt'), 'utf8')).toBe('one');
  });

  it('is not there when filling it fails half-way', async () => {
    const at = fresh();
    const failing = async (temporary: string) => {
      await fill('one')(temporary);
      await writeFileAtomic(join(temporary, 'b.txt'), 'two', fullDisk(1));
    };
    await expect(writeFolderAtomic(join(at, 'out'), failing)).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(readdirSync(at)).toEqual([]);
  });

  it('is kept when it exists, unless it may be replaced', async () => {
    const at = fresh();
    const out = join(at, 'out');
    await writeFolderAtomic(out, fill('one'));
    await expect(writeFolderAtomic(out, fill('two'))).rejects.toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(readFileSync(join(out, 'a.txt'), 'utf8')).toBe('one');
    await writeFolderAtomic(out, fill('two'), { overwrite: true });
    expect(readFileSync(join(out, 'a.txt'), 'utf8')).toBe('two');
    expect(readdirSync(at)).toEqual(['out']);
  });

  it('keeps the old one when its replacement fails', async () => {
    const at = fresh();
    const out = join(at, 'out');
    await writeFolderAtomic(out, fill('one'));
    const failing = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
    await expect(writeFolderAtomic(out, failing, { overwrite: true })).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect(readFileSync(join(out, 'a.txt'), 'utf8')).toBe('one');
    expect(readdirSync(at)).toEqual(['out']);
  });

  it('puts the old one back when the new one cannot take its place', async () => {
    const at = fresh();
    const out = join(at, 'out');
    await writeFolderAtomic(out, fill('one'));
    const vanishing = (temporary: string) => rm(temporary, { recursive: true });
    await expect(writeFolderAtomic(out, vanishing, { overwrite: true })).rejects.toMatchObject({ exitCode: 1 });
    expect(readFileSync(join(out, 'a.txt'), 'utf8')).toBe('one');
    expect(readdirSync(at)).toEqual(['out']);
  });

  it('is refused with one clear error where a file is in the way', async () => {
    const at = fresh();
    writeFileSync(join(at, 'file'), 'x');
    const out = join(at, 'file', 'out');
    await expect(writeFolderAtomic(out, fill('one'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(readdirSync(at)).toEqual(['file']);
  });
});
