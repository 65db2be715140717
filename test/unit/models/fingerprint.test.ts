// Whatever is done to a file changes its fingerprint; nothing done, nothing changed.
import { appendFileSync, readFileSync, renameSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { fingerprintFiles, openCheckpoint } from '../../../src/models/node.ts';
import { temporaryFolder, tinyModel, writeTinyModel } from '../../helpers/tinyModel.ts';

// A file system without times, when it is wanted.
const { clock } = vi.hoisted(() => ({ clock: { stopped: false } }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const actual = await importOriginal<typeof import('node:fs/promises')>();
  const open: typeof actual.open = async (...args) => {
    const handle = await actual.open(...args);
    if (!clock.stopped) return handle;
    const { size } = await handle.stat({ bigint: true });
    return Object.assign(handle, { stat: async () => ({ size, mtimeNs: 0n, ctimeNs: 0n }) });
  };
  return { ...actual, open };
});

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (name: string) => join(folder.path, name);

it('stays while nobody touches the files, and changes with each kind of change', async () => {
  const path = at('weights');
  writeFileSync(
    path,
    Uint8Array.from({ length: 3 << 20 }, (_, i) => i * 7),
  );
  const other = at('other');
  writeFileSync(other, 'x');
  const now = () => fingerprintFiles([path, other]);
  const seen = [await now()];
  expect(seen[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(await now()).toBe(seen[0]);
  readFileSync(path);
  expect(await now()).toBe(seen[0]);

  const changes: (() => unknown)[] = [
    () => appendFileSync(path, 'y'),
    () => truncateSync(path, 3 << 20),
    () => utimesSync(path, 1, 1),
    () => writeFileSync(other, 'z'),
    // One byte that no sample sees, and the old time of modification again.
    () => {
      const { atime, mtime } = statSync(path);
      const bytes = readFileSync(path);
      bytes[1_100_000]! ^= 1;
      writeFileSync(path, bytes);
      utimesSync(path, atime, mtime);
    },
    // Another file in its place, of the same size and age.
    () => {
      const { atime, mtime } = statSync(path);
      writeFileSync(at('next'), new Uint8Array(3 << 20));
      utimesSync(at('next'), atime, mtime);
      renameSync(at('next'), path);
    },
  ];
  for (const change of changes) {
    change();
    seen.push(await now());
  }
  expect(new Set(seen).size).toBe(changes.length + 1);
});

it('sees other weights of the same size where a file system keeps no times', async () => {
  clock.stopped = true;
  const size = 3 << 20;
  const write = (byte: number, from: number, to = from + 1) => {
    writeFileSync(at('timeless'), new Uint8Array(size).fill(1).fill(byte, from, to));
    return fingerprintFiles([at('timeless')]);
  };
  const plain = await write(1, 0);
  expect(await write(1, 0)).toBe(plain);
  const others = [await write(2, 0), await write(2, size - 1), await write(2, 2 << 20, size), await write(2, 0, size)];
  expect(new Set([plain, ...others]).size).toBe(5);
  clock.stopped = false;
});

it('says which file is not there', async () => {
  await expect(fingerprintFiles([at('nowhere')])).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: expect.stringContaining(at('nowhere')),
  });
});

it('a checkpoint names every file that its weights come from', async () => {
  const names = async (path: string) => {
    const { files, weights } = await openCheckpoint(path);
    await weights.close();
    return files.map((f) => f.slice(path.length + 1)).sort();
  };
  expect(await names(writeTinyModel(at('one'), tinyModel()))).toEqual(['config.json', 'model.safetensors']);
  expect(await names(writeTinyModel(at('many'), tinyModel(), { shards: 2 }))).toEqual([
    'config.json',
    'model-1-of-2.safetensors',
    'model-2-of-2.safetensors',
    'model.safetensors.index.json',
  ]);
});
