// The folder of quantised weights: what is in it, how it stays bounded, how it is emptied.
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  listQuantised,
  markUsed,
  pruneQuantised,
  quantisedFolder,
  quantisedPath,
  removeQuantised,
} from '../../../src/hub/index.ts';
import { temporaryFolder } from '../../helpers/tinyModel.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
let cache: string;
let next = 0;
beforeEach(() => {
  cache = join(folder.path, `${next++}`);
});

/** @param age in hours. */
function put(name: string, size: number, age: number): string {
  const path = join(quantisedFolder(cache), name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, new Uint8Array(size));
  const time = new Date(Date.now() - age * 3_600_000);
  utimesSync(path, time, time);
  return path;
}
const sizes = async () => (await listQuantised(cache)).map((f) => f.size);

describe('names', () => {
  it('are readable, plain and as different as the hash', () => {
    expect(basename(quantisedPath(cache, 'tiny.gguf-int8-run', 'abcdef0123456789ffff'))).toBe(
      'tiny.gguf-int8-run-abcdef0123456789.weights',
    );
    const odd = quantisedPath(cache, `../../${'é/:'.repeat(200)}`, '0123456789abcdef0000');
    expect(dirname(odd)).toBe(quantisedFolder(cache));
    expect(basename(odd).length).toBeLessThan(120);
  });
});

describe('the list', () => {
  it('has what is complete, last used first', async () => {
    expect(await listQuantised(cache)).toEqual([]);
    const old = put('a.weights', 1, 3);
    put('b.weights', 2, 2);
    put('.c.weights.0.tmp', 4, 1);
    put('notes.txt', 8, 1);
    mkdirSync(join(quantisedFolder(cache), 'd.weights'));
    expect(await sizes()).toEqual([2, 1]);
    await markUsed(old);
    expect(await sizes()).toEqual([1, 2]);
    await markUsed(join(cache, 'nowhere'));
  });
});

describe('pruning', () => {
  it('deletes what was used longest ago, and no more than it must', async () => {
    for (const [name, age] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['d', 4],
    ] as const) {
      put(`${name}.weights`, 10 + age, age);
    }
    expect(await pruneQuantised(cache, 'none', 50)).toEqual([]);
    const gone = await pruneQuantised(cache, 'none', 25);
    expect(gone.map((f) => basename(f.path))).toEqual(['c.weights', 'd.weights']);
    expect(await sizes()).toEqual([11, 12]);
  });

  it('never deletes the one that was just made, however large', async () => {
    put('small.weights', 1, 0);
    const large = put('large.weights', 100, 0.001);
    await pruneQuantised(cache, large, 50);
    expect(await sizes()).toEqual([1, 100]);
  });

  it('deletes half-written files only when they were left behind', async () => {
    const left = put('.a.weights.1.tmp', 1, 2);
    const young = put('.b.weights.2.tmp', 1, 0);
    const other = put('notes.txt', 1, 9);
    await pruneQuantised(cache, 'none');
    expect([left, young, other].map(existsSync)).toEqual([false, true, true]);
  });
});

it('removing deletes all of ours and nothing else', async () => {
  expect(await removeQuantised(cache)).toEqual([]);
  const ours = [put('a.weights', 1, 0), put('.b.weights.2.tmp', 2, 0)];
  const other = put('notes.txt', 4, 0);
  expect((await removeQuantised(cache)).map((f) => f.size).sort()).toEqual([1, 2]);
  expect([...ours, other].map(existsSync)).toEqual([false, false, true]);
});
