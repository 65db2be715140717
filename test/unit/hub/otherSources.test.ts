// Data sets of the hub, and models from ModelScope, in the same cache.
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  listModels,
  type PullOptions,
  parseModelScope,
  planPull,
  pullModel,
  removeModel,
  repairModel,
  resolveModel,
  verifyModel,
} from '../../../src/hub/index.ts';
import { type OtherHub, startDatasetHub, startModelScope } from './otherHubs.ts';

const text = (value: string) => new TextEncoder().encode(value);
const SHA = 'd'.repeat(40);
let folder: string;
let hub: OtherHub;
const where = () => ({ cacheDir: join(folder, 'own'), hubCacheDir: join(folder, 'hub') });
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-other-'));
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a data set', () => {
  const REPO = 'alpaca-lab/rows';
  const FILES = { 'README.md': text('# Rows'), 'data/train.jsonl': text('{}\n'), 'data/twin.jsonl': text('{}\n') };
  const options = { repoType: 'dataset' } as const;
  const repoDir = () => join(folder, 'hub', 'datasets--alpaca-lab--rows');
  const pull = (more: Partial<PullOptions> = {}) =>
    pullModel({ ...where(), ...options, name: REPO, endpoint: hub.endpoint, network: { delaysMs: [] }, ...more });
  beforeEach(async () => {
    hub = await startDatasetHub(REPO, SHA, FILES);
  });

  it('comes whole, into its own folder, each content once', async () => {
    const { path } = await pull();
    expect(path).toBe(join(repoDir(), 'snapshots', SHA));
    expect(await readFile(join(path, 'data', 'train.jsonl'), 'utf8')).toBe('{}\n');
    expect(await readFile(join(path, 'data', 'twin.jsonl'), 'utf8')).toBe('{}\n');
    expect(hub.seen.filter((request) => /resolve.*jsonl/.test(request.path))).toHaveLength(1);
    expect((await readdir(join(repoDir(), 'blobs'))).length).toBe(2);
    // Everything is here, so Python gets its list too.
    expect(await readdir(join(repoDir(), 'trees'))).toEqual([`${SHA}.json`]);
    expect(await resolveModel(REPO, { ...where(), ...options })).toEqual({ path, source: 'hub' });
    expect(await listModels(where())).toEqual([
      expect.objectContaining({ name: REPO, type: 'dataset', revision: 'main', complete: true, size: 12 }),
    ]);
    expect(await verifyModel(REPO, { ...where(), ...options })).toMatchObject({ ok: true });
    // A model of that name is something else.
    await expect(resolveModel(REPO, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await removeModel(REPO, { ...where(), ...options });
    expect(await readdir(join(folder, 'hub'))).toEqual(['.locks', 'CACHEDIR.TAG']);
  });

  it('counts the same content once in what is to be fetched', async () => {
    const plan = () => planPull({ ...where(), ...options, name: REPO, endpoint: hub.endpoint });
    expect(await plan()).toMatchObject({ size: 12, toFetch: 9 });
    await pull({ freeBytes: async () => 9 });
    expect(await plan()).toMatchObject({ size: 12, toFetch: 0 });
  });

  it('comes in part with patterns, and the rest when it is asked for', async () => {
    const { path } = await pull({ include: ['data/train*'] });
    expect(await readdir(path)).toEqual(['data']);
    expect(await pull({ include: ['data/train*'], offline: true })).toMatchObject({ cached: true });
    await expect(pull({ include: ['*'], offline: true })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    const plan = await planPull({ ...where(), ...options, name: REPO, endpoint: hub.endpoint });
    expect(plan).toMatchObject({ kind: 'files', size: 12, toFetch: 6 });
    expect(await pull()).toMatchObject({ cached: false });
    expect((await readdir(path)).sort()).toEqual(['README.md', 'data']);
    expect(await pull()).toMatchObject({ cached: true });
  });

  it('is not fetched from ModelScope', async () => {
    await expect(pull({ source: 'modelscope' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('ModelScope', () => {
  const REPO = 'AI-ModelScope/Tiny';
  const FILES: Record<string, Uint8Array> = {
    'config.json': text('{"model_type":"llama"}'),
    'tokenizer.json': text('{"model":{}}'),
    'configuration.json': text('{"task":"text-generation"}'),
    'sub/extra.txt': text('extra'),
    'model.safetensors': Uint8Array.from({ length: 5000 }, (_, i) => i >> 3),
  };
  let files: Record<string, Uint8Array>;
  const pull = (more: Partial<PullOptions> = {}) =>
    pullModel({
      ...where(),
      name: REPO,
      source: 'modelscope',
      endpoint: 'http://127.0.0.1:1',
      modelScopeEndpoint: hub.endpoint,
      token: 'hf_secret',
      network: { delaysMs: [] },
      ...more,
    });
  const repoDir = () => join(folder, 'hub', 'models--AI-ModelScope--Tiny');
  beforeEach(async () => {
    files = { ...FILES };
    hub = await startModelScope(REPO, files);
  });

  it('gives a model into the same cache, and never sees the token of the hub', async () => {
    const { path, source } = await pull();
    expect(source).toBe('modelscope');
    expect((await readdir(path)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect((await lstat(join(path, 'config.json'))).isSymbolicLink()).toBe(true);
    expect(hub.seen.map((request) => request.authorization)).toEqual(hub.seen.map(() => undefined));
    // Under both names: ModelScope's, and the one under which everybody looks.
    expect((await readdir(join(repoDir(), 'refs'))).sort()).toEqual(['main', 'master']);
    expect(await resolveModel(REPO, where())).toEqual({ path, source: 'hub' });
    expect(await pull()).toMatchObject({ cached: true });
    expect(await verifyModel(REPO, where())).toMatchObject({ ok: true });
    expect(await readdir(repoDir())).not.toContain('trees');
  });

  it('repairs from where the files came', async () => {
    const { path } = await pull();
    await rm(join(path, 'model.safetensors'));
    hub.seen.length = 0;
    const options = {
      ...where(),
      endpoint: 'http://127.0.0.1:1',
      modelScopeEndpoint: hub.endpoint,
      token: 'hf_secret',
    };
    expect(await repairModel(REPO, options)).toMatchObject({ ok: true, repaired: ['model.safetensors'] });
    for (const { path: asked, authorization } of hub.seen) {
      expect([asked, authorization]).toEqual([`/models/${REPO}/resolve/master/model.safetensors`, undefined]);
    }
    expect((await lstat(join(path, 'model.safetensors'))).isSymbolicLink()).toBe(true);
  });

  it("follows the branch when it is told to, but leaves the hub's main alone", async () => {
    const first = await pull();
    files['config.json'] = text('{"model_type":"llama","v":2}');
    const second = await pull({ update: true });
    expect(second.path).not.toBe(first.path);
    expect(await resolveModel(REPO, where())).toMatchObject({ path: second.path });
    await rm(repoDir(), { recursive: true });
    await mkdir(join(repoDir(), 'refs'), { recursive: true });
    await writeFile(join(repoDir(), 'refs', 'main'), SHA);
    const third = await pull();
    expect(await readFile(join(repoDir(), 'refs', 'main'), 'utf8')).toBe(SHA);
    expect(await resolveModel(`${REPO}@master`, where())).toMatchObject({ path: third.path });
  });

  it('finds out a file that is not the one that was listed', async () => {
    const wrong = FILES['model.safetensors']!.map((byte) => byte ^ 1);
    const lying = async (url: string | URL | Request, init?: RequestInit) =>
      String(url).endsWith('model.safetensors') ? new Response(wrong) : fetch(url, init);
    await expect(pull({ network: { delaysMs: [], fetch: lying } })).rejects.toMatchObject({
      code: 'HUB_WRONG_CONTENT',
    });
  });

  it('says what it said, and refuses lists that are none', async () => {
    await expect(pull({ name: 'no/model' })).rejects.toMatchObject({
      code: 'HUB_NOT_FOUND',
      message: expect.stringContaining('Record not found'),
    });
    const list = (...Files: object[]) => ({ Code: 200, Data: { Files } });
    const good = { Path: 'a.gguf', Type: 'blob', Size: 4, Sha256: 'A'.repeat(64) };
    expect(parseModelScope('a/b', list(good)).files.get('a.gguf')?.hash.value).toBe('a'.repeat(64));
    for (const answer of [{}, null, { Code: 200, Data: {} }, list({ ...good, Path: '../x' }), list({ Type: 'blob' })]) {
      expect(() => parseModelScope('a/b', answer)).toThrow(expect.objectContaining({ code: 'HUB_BAD_ANSWER' }));
    }
    for (const odd of [{ Size: -1 }, { Size: '4' }, { Sha256: 'x' }, { Sha256: undefined }]) {
      expect(parseModelScope('a/b', list({ ...good, ...odd }))).toMatchObject({ names: ['a.gguf'], files: new Map() });
    }
    const names = (sha: string) => parseModelScope('a/b', list({ ...good, Sha256: sha.repeat(64) })).sha;
    expect(names('1')).toMatch(/^[0-9a-f]{40}$/);
    expect(names('1')).not.toBe(names('2'));
  });
});
