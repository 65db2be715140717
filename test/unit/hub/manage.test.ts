// What is in the cache: listed, removed a revision at a time, pruned; and what verifying says of each kind of damage.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publishSnapshot } from '../../../src/hub/hubLayout.ts';
import { listModels, pruneHub, removeModel, repairModel, resolveModel, verifyModel } from '../../../src/hub/index.ts';
import { withLock } from '../../../src/hub/lock.ts';
import { pullLockPath } from '../../../src/hub/pullOptions.ts';
import { treeOf } from '../../helpers/runCli.ts';
import { pythonCache } from './pythonCache.ts';
import { gitSha1, sha256 } from './testHub.ts';

const REPO = 'org/tiny';
const [A, B, C] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)] as const;
const text = (value: string) => new TextEncoder().encode(value);
const MODEL = {
  'config.json': text('{}'),
  'tokenizer.json': text('{"x":1}'),
  'model.safetensors': text('weights of a'),
};
const DAY = 86_400_000;

let folder: string;
const where = () => ({ cacheDir: join(folder, 'own'), hubCacheDir: join(folder, 'hub') });
const repoDir = (repo = REPO) => join(folder, 'hub', `models--${repo.replace('/', '--')}`);
const blobs = async () => (await readdir(join(repoDir(), 'blobs'))).sort();
/** A commit as Python leaves it; `ref` leads to it instead of main. */
async function commit(sha: string, files: Record<string, Uint8Array>, ref: string | null = 'main', repo = REPO) {
  await pythonCache(join(folder, 'hub'), repo, sha, files);
  if (ref !== 'main') await rm(join(repoDir(repo), 'refs', 'main'));
  if (ref !== null && ref !== 'main') {
    await mkdir(dirname(join(repoDir(repo), 'refs', ref)), { recursive: true });
    await writeFile(join(repoDir(repo), 'refs', ref), sha);
  }
}
const age = (path: string, days: number) => {
  const then = new Date(Date.now() - days * DAY);
  return utimes(path, then, then);
};
/** Makes everything in the cache look so old. */
async function ageAll(days: number) {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await age(join(entry.parentPath, entry.name), days);
  }
}
const rows = async () =>
  (await listModels(where())).map((m) => `${m.name} ${m.type} ${m.revision?.slice(0, 9)} ${m.complete} ${m.size}`);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-manage-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('listModels', () => {
  it('tells models, adapters and what is incomplete apart, by revision', async () => {
    await commit(A, MODEL, 'refs/pr/1');
    await commit(B, { ...MODEL, 'model.safetensors': text('weights of b') }, 'main');
    await writeFile(join(repoDir(), 'refs', 'v1'), B);
    await commit(C, { 'adapter_config.json': text('{}'), 'adapter_model.bin': text('ab') }, null, 'org/adapter');
    await commit(A, { 'config.json': text('{}') }, 'main', 'org/part');
    await mkdir(join(folder, 'hub', 'spaces--org--x', 'snapshots', A), { recursive: true });
    await mkdir(join(folder, 'hub', 'models--nobody'), { recursive: true });
    expect(await rows()).toEqual([
      'org/adapter adapter ccccccccc true 4',
      'org/part model main false 2',
      'org/tiny model refs/pr/1 true 21',
      'org/tiny model main true 21',
      'org/tiny model v1 true 21',
    ]);
    for (const { used } of await listModels(where())) expect(Date.parse(used!)).toBeGreaterThan(Date.now() - DAY);
  });
});

describe('what Python fetched', () => {
  const index = (stem: string, extension: string) =>
    text(JSON.stringify({ weight_map: { a: `${stem}-1.${extension}`, b: `${stem}-2.${extension}` } }));
  const beside = { 'config.json': text('{}'), 'tokenizer.model': text('m') };
  it.each<[string, Record<string, Uint8Array>, string]>([
    ['pytorch_model.bin', { ...beside, 'pytorch_model.bin': text('w') }, ''],
    [
      'shards of pytorch_model',
      {
        ...beside,
        'pytorch_model.bin.index.json': index('pytorch_model', 'bin'),
        'pytorch_model-1.bin': text('1'),
        'pytorch_model-2.bin': text('2'),
      },
      '',
    ],
    ["Meta's files", { 'params.json': text('{}'), 'tokenizer.model': text('m'), 'consolidated.00.pth': text('w') }, ''],
    [
      "Meta's files in original/",
      {
        'original/params.json': text('{}'),
        'original/tokenizer.model': text('m'),
        'original/consolidated.00.pth': text('w'),
      },
      'original',
    ],
    ['an adapter of 2023', { 'adapter_config.json': text('{}'), 'adapter_model.bin': text('w') }, ''],
    ['one GGUF file beside a configuration', { 'config.json': text('{}'), 'm.Q4_0.gguf': text('w') }, 'm.Q4_0.gguf'],
  ])('is a model: %s', async (_, files, inside) => {
    await commit(A, files);
    expect(await resolveModel(REPO, where())).toEqual({ path: join(repoDir(), 'snapshots', A, inside), source: 'hub' });
    const needed = Object.keys(files).find((name) => /\.(bin|pth|gguf)$/.test(name))!;
    await rm(join(repoDir(), 'snapshots', A, needed));
    await expect(resolveModel(REPO, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});

describe('removeModel', () => {
  const two = async () => {
    await commit(A, MODEL, 'v1');
    await commit(B, { ...MODEL, 'model.safetensors': text('other weights') }, 'main');
    // pythonCache wrote main over v1's folder: both refs are needed here.
    await writeFile(join(repoDir(), 'refs', 'v1'), A);
  };

  it('takes one revision, and of its files those that no other has', async () => {
    await two();
    const before = treeOf(folder);
    const dry = await removeModel(`${REPO}@v1`, { ...where(), dryRun: true });
    expect(treeOf(folder)).toEqual(before);
    const { freed, removed } = await removeModel(`${REPO}@v1`, where());
    expect({ freed, removed }).toEqual(dry);
    const own = sha256(MODEL['model.safetensors']);
    expect(await blobs()).not.toContain(own);
    expect(await blobs()).toContain(gitSha1(MODEL['config.json']));
    expect(freed).toBeGreaterThanOrEqual(MODEL['model.safetensors'].length);
    expect(freed).toBeLessThan(1000);
    expect(await readdir(join(repoDir(), 'refs'))).toEqual(['main']);
    expect(await readdir(join(repoDir(), 'snapshots'))).toEqual([B]);
    expect(await verifyModel(REPO, where())).toMatchObject({ ok: true });
    await expect(removeModel(`${REPO}@v1`, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('takes nothing from under a pull that is running, and no path', async () => {
    await commit(A, MODEL);
    await withLock(pullLockPath(join(folder, 'own'), REPO), async () => {
      for (const name of [REPO, `${REPO}@main`]) {
        await expect(removeModel(name, where())).rejects.toMatchObject({ code: 'MODEL_IN_USE' });
      }
    });
    await expect(removeModel(repoDir(), where())).rejects.toMatchObject({ code: 'USAGE' });
    expect(await blobs()).toHaveLength(3);
    expect((await removeModel(REPO, where())).removed).toEqual([repoDir()]);
  });

  it('takes a revision by its commit, and everything by its name', async () => {
    await two();
    await removeModel(`${REPO}@${B}`, where());
    expect(await readdir(join(repoDir(), 'snapshots'))).toEqual([A]);
    const { removed } = await removeModel(REPO, where());
    expect(removed).toEqual([repoDir()]);
    expect(await readdir(join(folder, 'hub', '.locks'))).toEqual([]);
  });
});

describe('pruneHub', () => {
  const prune = (more = {}) => pruneHub({ ...where(), ...more });
  const why = async (more = {}) =>
    (await prune(more)).map(({ path, why }) => `${path.slice(repoDir().length + 1)}: ${why}`).sort();

  it('leaves alone what a revision needs, and what was touched a moment ago', async () => {
    await commit(A, MODEL);
    await ageAll(100);
    await writeFile(join(repoDir(), 'blobs', 'e'.repeat(64)), 'finished, not published yet');
    await writeFile(join(repoDir(), 'blobs', `${'f'.repeat(64)}.huacaya.incomplete`), 'half');
    expect(await prune()).toEqual([]);
  });

  it('takes snapshots without a ref with their blobs, parts and blobs of nobody, when they are old', async () => {
    await commit(A, MODEL, null);
    await commit(B, { ...MODEL, 'model.safetensors': text('other weights') });
    await writeFile(join(repoDir(), 'blobs', 'e'.repeat(64)), 'of nobody');
    await writeFile(join(repoDir(), 'blobs', `${'f'.repeat(64)}.huacaya.incomplete`), 'ours');
    await writeFile(join(repoDir(), 'blobs', `${'f'.repeat(64)}.1a2b3c4d.incomplete`), "Python's");
    await mkdir(join(repoDir(), 'snapshots', `.${C}.12345678.tmp`));
    await writeFile(join(repoDir(), 'snapshots', `.${C}.12345678.tmp`, 'config.json'), '{}');
    const before = treeOf(folder);
    await ageAll(8);
    const own = join(repoDir(), 'blobs', sha256(MODEL['model.safetensors']));
    const expected = [
      `blobs/${'e'.repeat(64)}: belongs to no revision`,
      `blobs/${'f'.repeat(64)}.1a2b3c4d.incomplete: part of a download that was not finished`,
      `blobs/${'f'.repeat(64)}.huacaya.incomplete: part of a download that was not finished`,
      `blobs/${sha256(MODEL['model.safetensors'])}: belongs to no revision`,
      `snapshots/.${C}.12345678.tmp: was left behind`,
      `snapshots/${A}: no branch leads to it`,
      `trees/${A}.json: no branch leads to it`,
    ].sort();
    expect(await why({ days: 9 })).toEqual([]);
    expect(await why({ dryRun: true })).toEqual(expected);
    expect(treeOf(folder)).toEqual(before);
    await ageAll(8);
    // Read a moment ago, though written long ago.
    await utimes(own, new Date(), new Date(Date.now() - 8 * DAY));
    expect((await why({ dryRun: true })).filter((line) => line.includes(A))).toEqual([]);
    await ageAll(8);
    expect(await why()).toEqual(expected);
    expect(await prune()).toEqual([]);
    expect(await readdir(join(repoDir(), 'snapshots'))).toEqual([B]);
    expect(await verifyModel(REPO, where())).toMatchObject({ ok: true });
    expect(await blobs()).toHaveLength(3);
  });

  it('takes what our own cache has from runs that died, and no model', async () => {
    const own = ['tmp/pip-tiny/x.whl', 'locks/org--tiny.lock', 'models/tiny/m.gguf.incomplete'];
    for (const name of [...own, 'models/tiny/m.gguf']) {
      await mkdir(dirname(join(folder, 'own', name)), { recursive: true });
      await writeFile(join(folder, 'own', name), '{}');
    }
    expect(await prune()).toEqual([]);
    await ageAll(8);
    expect((await prune()).map(({ path }) => path)).toEqual(own.map((name) => join(folder, 'own', name)));
    expect(await readdir(join(folder, 'own', 'models', 'tiny'))).toEqual(['m.gguf']);
  });

  it('touches nothing of a pull that is running, however short the time', async () => {
    await commit(A, MODEL);
    const other = join(folder, 'own', 'locks', 'org--other.lock');
    const partly = join(folder, 'own', 'tmp', 'pip-tiny', 'x.whl');
    const early = join(repoDir(), 'blobs', 'e'.repeat(64));
    await mkdir(dirname(partly), { recursive: true });
    await mkdir(dirname(other), { recursive: true });
    await writeFile(early, 'finished, not published yet');
    await writeFile(partly, 'half');
    await writeFile(other, '{}');
    await ageAll(8);
    await withLock(pullLockPath(join(folder, 'own'), REPO), async () => {
      expect((await prune({ days: -1 })).map(({ path }) => path)).toEqual([other]);
    });
    expect((await prune({ days: -1 })).map(({ path }) => path)).toEqual([early, partly]);
  });

  it('keeps a part and its journal together', async () => {
    await commit(A, MODEL);
    const stem = join(repoDir(), 'blobs', `${'f'.repeat(64)}.huacaya`);
    await writeFile(`${stem}.incomplete`, 'half');
    await writeFile(`${stem}.journal`, 'which half');
    await ageAll(8);
    for (const young of ['incomplete', 'journal']) {
      await age(`${stem}.${young}`, 1);
      expect(await prune({ dryRun: true })).toEqual([]);
      await age(`${stem}.${young}`, 8);
    }
    expect(await prune()).toHaveLength(2);
  });

  it('keeps what was asked for by its commit, and what is being fetched', async () => {
    await commit(A, MODEL, null);
    const files = Object.entries(MODEL).map(([name, bytes]) => ({
      name,
      blob: name.endsWith('.safetensors') ? sha256(bytes) : gitSha1(bytes),
      size: bytes.length,
    }));
    await publishSnapshot(repoDir(), { sha: A, refs: [], files, kind: 'safetensors' });
    const part = `${'f'.repeat(64)}.huacaya.incomplete`;
    await writeFile(join(repoDir(), 'blobs', part), 'half');
    await mkdir(join(folder, 'hub', '.locks', 'models--org--tiny'), { recursive: true });
    const lock = join(folder, 'hub', '.locks', 'models--org--tiny', `${'f'.repeat(64)}.huacaya.lock`);
    await writeFile(lock, '{}');
    await ageAll(100);
    await age(lock, 0);
    expect(await prune()).toEqual([]);
    // A process that was killed leaves its lock, and that keeps nothing.
    await age(lock, 100);
    expect(await prune()).toMatchObject([{ path: join(repoDir(), 'blobs', part) }]);
  });
});

describe('verifyModel', () => {
  it('says of each file what is wrong with it, as it goes', async () => {
    const files = { ...MODEL, 'README.md': text('long enough'), LICENSE: text('license') };
    await commit(A, files);
    const path = (name: string) => join(repoDir(), 'snapshots', A, name);
    await writeFile(path('README.md'), 'long');
    await writeFile(path('LICENSE'), 'license, and more');
    await writeFile(path('config.json'), '[]');
    await rm(path('tokenizer.json'));
    await mkdir(path('tokenizer.json'));
    const seen: string[] = [];
    const { ok, files: all } = await verifyModel(REPO, { ...where(), onFile: (file) => seen.push(file.file) });
    expect(ok).toBe(false);
    expect(seen).toEqual(all.map(({ file }) => file));
    const of = (name: string) => all.find(({ file }) => file === name);
    expect(of('README.md')).toMatchObject({ status: 'short', size: 11, actualSize: 4 });
    expect(of('LICENSE')).toMatchObject({ status: 'wrong', size: 7, actualSize: 17 });
    expect(of('config.json')).toMatchObject({
      status: 'wrong',
      expected: gitSha1(text('{}')),
      actual: gitSha1(text('[]')),
    });
    expect(of('model.safetensors')).toMatchObject({ status: 'ok' });
  });

  it('does not repair what came from nowhere', async () => {
    await mkdir(join(folder, 'mine'));
    await writeFile(join(folder, 'mine', 'config.json'), '{}');
    expect(await verifyModel(join(folder, 'mine'), where())).toMatchObject({
      ok: true,
      files: [{ status: 'unknown' }],
    });
    await commit(A, MODEL);
    await rm(join(repoDir(), 'trees'), { recursive: true });
    const blob = join(repoDir(), 'blobs', sha256(MODEL['model.safetensors']));
    await writeFile(blob, 'other');
    const endpoint = 'http://127.0.0.1:1';
    // The blob's name tells its hash, but nothing its length.
    await expect(repairModel(REPO, { ...where(), endpoint })).rejects.toMatchObject({ code: 'NOT_REPAIRABLE' });
    expect(await readFile(blob, 'utf8')).toBe('other');
    expect((await stat(blob)).size).toBe(5);
  });
});
