// The cache is Python's too: what huggingface_hub made is read by us, and what we made by it.
// With HUACAYA_TEST_PYTHON (an interpreter that has huggingface_hub) both directions run against the real library; without
// it, the layout that the library made is built here file by file (huggingface_hub 2.4.0, see pythonCache.ts).
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listModels, pullModel, repairModel, resolveModel, verifyModel } from '../../../src/hub/index.ts';
import { treeOf } from '../../helpers/runCli.ts';
import { pythonCache } from './pythonCache.ts';
import { REPO, SHA, startTestHub, type TestHub } from './testHub.ts';

const python = process.env.HUACAYA_TEST_PYTHON;
const text = (value: string) => new TextEncoder().encode(value);
const FILES = {
  '.gitattributes': text('*.safetensors filter=lfs\n'),
  'README.md': text('# Tiny'),
  'config.json': text('{"model_type":"llama"}'),
  'model.safetensors': Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31) >> 2),
  'notes/a.txt': text('in a folder'),
  'tokenizer.json': text('{"model":{}}'),
};
const ALL = Object.keys(FILES);
const WANTED = ['README.md', 'config.json', 'model.safetensors', 'tokenizer.json'];

let hub: TestHub;
let folder: string;
const hubCacheDir = () => join(folder, 'hf', 'hub');
const repoDir = () => join(hubCacheDir(), `models--${REPO.replace('/', '--')}`);
const where = () => ({
  cacheDir: join(folder, 'own'),
  hubCacheDir: hubCacheDir(),
  endpoint: hub.endpoint,
  network: { delaysMs: [] },
});
const pull = (more = {}) => pullModel({ ...where(), name: REPO, ...more });
const statuses = async (name: string) => {
  const { files } = await verifyModel(name, where());
  return Object.fromEntries(files.map(({ file, status }) => [file, status]));
};

/** Runs a program of Python's with the test hub as its hub; what it prints is JSON. */
function runPython(program: string): Promise<unknown> {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    HF_HOME: join(folder, 'hf'),
    HF_ENDPOINT: hub.endpoint,
    HF_HUB_DISABLE_XET: '1',
    HF_HUB_DISABLE_TELEMETRY: '1',
    HF_HUB_DISABLE_PROGRESS_BARS: '1',
  };
  return new Promise((resolve, reject) => {
    const child = spawn(python!, ['-c', `import json\nfrom huggingface_hub import *\n${program}`], { env });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(out)) : reject(new Error(err))));
  });
}

/** Makes the cache as Python would, by Python where there is one. */
async function makePythonCache(): Promise<void> {
  if (python) await runPython(`print(json.dumps(snapshot_download(${JSON.stringify(REPO)})))`);
  else await pythonCache(hubCacheDir(), REPO, SHA, FILES);
}

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'huacaya-interop-')));
  hub = await startTestHub(FILES);
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

describe(`a cache of ${python ? 'huggingface_hub' : "huggingface_hub's layout"}`, () => {
  beforeEach(makePythonCache);

  it('is found, listed, verified and pulled without a request', async () => {
    hub.requests.length = 0;
    const path = join(repoDir(), 'snapshots', SHA);
    expect(await resolveModel(REPO, where())).toEqual({ path, source: 'hub' });
    expect(await resolveModel(`${REPO}@${SHA}`, where())).toEqual({ path, source: 'hub' });
    expect(await statuses(REPO)).toEqual(
      Object.fromEntries(ALL.filter((n) => n !== '.gitattributes').map((n) => [n, 'ok'])),
    );
    expect(await pull()).toMatchObject({ path, cached: true });
    expect(await pull({ include: ['notes/*'] })).toMatchObject({ cached: true });
    const size = Object.values(FILES).reduce((n, bytes) => n + bytes.length, 0);
    expect(await listModels(where())).toEqual([
      expect.objectContaining({ name: REPO, type: 'model', revision: 'main', sha: SHA, complete: true, size }),
    ]);
    expect(hub.requests).toEqual([]);
  });

  it('is repaired file by file from its own list of hashes', async () => {
    const snapshot = (name: string) => realpath(join(repoDir(), 'snapshots', SHA, name));
    const config = await snapshot('config.json');
    await chmod(config, 0o644);
    await writeFile(config, '{"model_type":"other"}'.slice(0, FILES['config.json'].length));
    await writeFile(await snapshot('model.safetensors'), FILES['model.safetensors'].subarray(0, 99));
    await rm(await snapshot('notes/a.txt'));
    const damaged = { 'config.json': 'wrong', 'model.safetensors': 'short', 'notes/a.txt': 'missing' };
    expect(await statuses(REPO)).toMatchObject(damaged);
    hub.requests.length = 0;
    const { ok, repaired } = await repairModel(REPO, where());
    expect({ ok, repaired: repaired.sort() }).toEqual({ ok: true, repaired: Object.keys(damaged) });
    expect(new Set(Object.values(await statuses(REPO)))).toEqual(new Set(['ok']));
    const asked = new Set(
      hub.requests.flatMap(({ path }) =>
        ALL.filter((name) => path.includes(encodeURIComponent(name).replaceAll('%2F', '/'))),
      ),
    );
    expect([...asked].sort()).toEqual(Object.keys(damaged));
  });

  it('lacks what Python did not fetch, and a pull adds it', async () => {
    const snapshot = join(repoDir(), 'snapshots', SHA);
    await rm(await realpath(join(snapshot, 'tokenizer.json')));
    await rm(join(snapshot, 'tokenizer.json'));
    await expect(resolveModel(REPO, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await statuses(REPO)).toMatchObject({ 'tokenizer.json': 'missing', 'model.safetensors': 'ok' });
    expect(await pull()).toMatchObject({ path: snapshot, cached: false });
    expect(await readdir(join(snapshot, 'notes'))).toEqual(['a.txt']);
    expect(await statuses(REPO)).toMatchObject({ 'tokenizer.json': 'ok' });
  });
});

describe.skipIf(python)('the layout that we make', () => {
  it('is that of Python, file by file, but for our own record', async () => {
    await pythonCache(hubCacheDir(), REPO, SHA, FILES);
    const expected = treeOf(folder);
    await rm(join(folder, 'hf'), { recursive: true });
    await pull({ include: ['*'] });
    const made = treeOf(join(folder, 'hf'), 'hf/');
    const ours = Object.fromEntries(
      Object.entries(made).filter(([name]) => !/\/\.huacaya\/|\.lock$|^hf\/hub\/CACHEDIR.TAG$/.test(name)),
    );
    const theirs = Object.fromEntries(
      Object.entries(expected).filter(([name]) => /^hf\//.test(name) && !/\.lock$|^hf\/hub\/CACHEDIR.TAG$/.test(name)),
    );
    const plain = (tree: Record<string, string>) =>
      Object.fromEntries(Object.entries(tree).filter(([name]) => !/^hf\/(hub\/(\.locks\/.*)?)?$/.test(name)));
    expect(plain(ours)).toEqual(plain(theirs));
    expect(await readFile(join(hubCacheDir(), 'CACHEDIR.TAG'), 'utf8')).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
  });

  it('has no list of the tree where files were left out: Python would call it incomplete', async () => {
    await pull();
    expect(await readdir(repoDir())).not.toContain('trees');
    await pull({ include: ['*'] });
    expect(await readdir(join(repoDir(), 'trees'))).toEqual([`${SHA}.json`]);
  });
});

describe.skipIf(!python)('huggingface_hub reads what we made', () => {
  const offline = (more = '') =>
    runPython(`print(json.dumps(snapshot_download(${JSON.stringify(REPO)}, local_files_only=True${more})))`);

  it('offline, whole and in part, and without a byte fetched again', async () => {
    const { path } = await pull();
    expect(await offline()).toBe(path);
    hub.requests.length = 0;
    await runPython(`print(json.dumps(hf_hub_download(${JSON.stringify(REPO)}, 'model.safetensors')))`);
    // It asks which version is the newest, and has it.
    expect(hub.requests.filter(({ path, method }) => method !== 'HEAD' && /resolve|signed/.test(path))).toEqual([]);
    await pull({ include: ['*'] });
    expect(await offline()).toBe(path);
    const names = `sorted(f.path for f in get_cached_repo_tree(${JSON.stringify(REPO)}))`;
    const tree = await runPython(`print(json.dumps(${names}))`);
    expect(tree).toEqual([...ALL].sort());
    await rm(await realpath(join(path, 'README.md')));
    await expect(offline()).rejects.toThrow(/incomplete/);
  });

  it('in the layout that the tests without Python build', async () => {
    await makePythonCache();
    const real = treeOf(join(folder, 'hf'));
    await rm(join(folder, 'hf'), { recursive: true });
    await pythonCache(hubCacheDir(), REPO, SHA, FILES);
    const built = treeOf(join(folder, 'hf'));
    for (const tree of [real, built]) delete tree['hub/CACHEDIR.TAG'];
    expect(Object.fromEntries(Object.entries(real).filter(([name]) => name.startsWith('hub/')))).toEqual(built);
  });

  it('and counts it in its own list of the cache, without a warning', async () => {
    await pull();
    const scan = `info = scan_cache_dir()
print(json.dumps({'warnings': [str(w) for w in info.warnings], 'repos': [[r.repo_id, r.repo_type, sorted(f.file_name for rev in r.revisions for f in rev.files), sorted(r.refs)] for r in info.repos]}))`;
    expect(await runPython(scan)).toEqual({ warnings: [], repos: [[REPO, 'model', WANTED, ['main']]] });
  });
});
